"""tools/test.py with one process; the truth comes from the bare network and the pictures."""

import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.apis import get_model
from mmpretrain.registry import MODELS

from tests.tools.scripts import TOOLS

LABELS = torch.arange(3).repeat_interleave(4)


@pytest.fixture
def run_test(load_tool, project, tmp_path):
    def run(*options):
        arguments = [str(project / 'config.py'), str(project / 'start.pth'), *options]
        load_tool('test').main([*arguments, '--work-dir', str(tmp_path / 'work_dir')])

    return run


@pytest.fixture(scope='module')
def network(project):
    """Class probabilities of a batch of grey pictures (N, 32, 32) under ``start.pth``."""
    backbone = MODELS.build(dict(type='mmpretrain.LeNet5', num_classes=3))
    state = torch.load(project / 'start.pth', weights_only=True)['state_dict']
    backbone.load_state_dict({name.removeprefix('backbone.'): t for name, t in state.items()})

    @torch.no_grad()
    def probabilities(pictures):
        pixels = torch.tensor(np.stack(pictures))[:, None].float()
        return backbone((pixels - 127.5) / 127.5)[0].softmax(1)

    return probabilities


@pytest.fixture(scope='module')
def pictures(project):
    return [cv2.imread(str(path), 0) for path in sorted((project / 'images').rglob('*.png'))]


def predicted(path):
    with path.open('rb') as file:
        return torch.stack([sample['pred_score'] for sample in pickle.load(file)])


def test_predictions(run_test, network, pictures, tmp_path):
    run_test('--out', str(tmp_path / 'out.pkl'))
    torch.testing.assert_close(predicted(tmp_path / 'out.pkl'), network(pictures))


def test_metrics(run_test, network, pictures, tmp_path):
    run_test('--out', str(tmp_path / 'out.json'), '--out-item', 'metrics')
    correct = (network(pictures).argmax(1) == LABELS).float().mean()
    metrics = json.loads((tmp_path / 'out.json').read_text())
    assert metrics == {'accuracy/top1': pytest.approx(100 * correct.item())}


def test_tta_is_the_mean_over_both_orientations(run_test, network, pictures, tmp_path):
    run_test('--tta', '--out', str(tmp_path / 'out.pkl'))
    mirrored = [picture[:, ::-1] for picture in pictures]
    mean = (network(pictures) + network(mirrored)) / 2
    torch.testing.assert_close(predicted(tmp_path / 'out.pkl'), mean)


def test_amp_computes_in_half_precision(run_test, network, pictures, tmp_path):
    run_test('--amp', '--out', str(tmp_path / 'out.pkl'))
    difference = (predicted(tmp_path / 'out.pkl') - network(pictures)).abs().max()
    assert 1e-6 < difference < 0.02


def test_show_dir_draws_every_fourth_picture(run_test, tmp_path):
    run_test('--show-dir', str(tmp_path / 'drawn'), '--interval', '4')
    drawn = sorted((tmp_path / 'drawn').rglob('*.png'))
    assert len(drawn) == 3
    assert all(cv2.imread(str(path)) is not None for path in drawn)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--out-item', 'pred'], '--out-item needs --out'),
        (['--out', 'a.json'], r'--out must end in one of .pkl, .pickle for pred, got a.json'),
        (['--out', 'a.csv', '--out-item', 'metrics'], '--out must end in one of .json'),
    ],
)
def test_bad_output_files_are_refused_before_the_work(run_test, capsys, options, message):
    with pytest.raises(SystemExit):
        run_test(*options)
    assert message in capsys.readouterr().err


def test_show_dir_needs_the_hook(load_tool, tmp_path):
    (tmp_path / 'config.py').write_text('test_cfg = dict()\n')
    tool = load_tool('test')
    args = tool.parse_args([str(tmp_path / 'config.py'), 'start.pth', '--show-dir', 'drawn'])
    with pytest.raises(ValueError, match='VisualizationHook'):
        tool.merge_args(tool.load_config(args), args)


BIRDS = """
_base_ = '{configs}/cub/2x-st-small_1xb32-1200_birds-192.py'
experiment_name = __import__('uuid').uuid4().hex
custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)
custom_hooks = [dict(type='WindowsHook'), dict(type='STNVisualizationHook', num_samples=2)]
test_dataloader = dict(batch_size={batch_size}, num_workers=0, dataset=dict(data_root='{folder}'))
model = dict(backbone=dict(init_cfg=None))
log_level = 'ERROR'
"""


@pytest.mark.parametrize('batch_size', [1, 4])
def test_tta_of_birds_with_windows_and_pictures(load_tool, monkeypatch, tmp_path, batch_size):
    """The windows are those of the image as it is: the same parts are found as without."""
    for folder in (TOOLS / 'data', TOOLS):
        monkeypatch.syspath_prepend(folder)
    import make_cub_like

    options = '--species 3 --train 1 --test 2 --size 144 --detail 0.05'
    make_cub_like.main([str(tmp_path / 'birds'), *options.split()])
    config = tmp_path / 'config.py'
    fields = dict(configs=TOOLS.parent / 'configs', folder=tmp_path / 'birds')
    config.write_text(BIRDS.format(batch_size=batch_size, **fields))
    torch.manual_seed(0)
    model = get_model(str(config), device='cpu')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'start.pth')
    metrics = []
    for name, extra in dict(plain=[], tta=['--tta']).items():
        out = tmp_path / f'{name}.json'
        arguments = [str(config), str(tmp_path / 'start.pth'), '--work-dir', str(tmp_path / name)]
        load_tool('test').main([*arguments, '--out', str(out), '--out-item', 'metrics', *extra])
        metrics.append({k: v for k, v in json.loads(out.read_text()).items() if 'parts/' in k})
        (picture,) = (tmp_path / name).rglob('test_transformers_0.png')
        metrics[-1]['picture'] = cv2.imread(str(picture))[120:].mean()  # below the titles
    assert len(metrics[0]) > 10
    assert metrics[1] == pytest.approx(metrics[0])


class Code:
    """Pickles as a call of ``open``, which leaves a file behind when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_a_checkpoint_that_holds_code_is_read_on_trust_only(load_tool, project, tmp_path):
    content = torch.load(project / 'start.pth', weights_only=True)
    torch.save(content | dict(code=Code(str(tmp_path / 'trace'))), tmp_path / 'code.pth')
    arguments = [str(project / 'config.py'), str(tmp_path / 'code.pth')]
    arguments += ['--work-dir', str(tmp_path / 'work_dir')]
    with pytest.raises(pickle.UnpicklingError, match='code.pth holds more than weights.*--trust'):
        load_tool('test').main(arguments)
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'message'),
    [
        ('confg.py', 'start.pth', r'There is no config .*confg.py. Is it .*config.py\?'),
        ('config.py', 'strat.pth', r'There is no checkpoint .*strat.pth. Is it .*start.pth\?'),
        ('config.py', 'missing/x.pth', r'There is no checkpoint .*x.pth: see .*/'),
    ],
)
def test_a_wrong_name_ends_in_one_line(load_tool, project, config, checkpoint, message):
    with pytest.raises(SystemExit, match=message):
        load_tool('test').main([str(project / config), str(project / checkpoint)])


def test_a_work_folder_that_cannot_be_written_to(load_tool, project, tmp_path):
    (tmp_path / 'file').write_text('')
    arguments = [str(project / 'config.py'), str(project / 'start.pth')]
    with pytest.raises(SystemExit, match='The work folder .* cannot be written to .*--work-dir'):
        load_tool('test').main([*arguments, '--work-dir', str(tmp_path / 'file/work_dir')])
