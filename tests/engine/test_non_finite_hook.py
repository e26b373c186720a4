"""NonFiniteHook: what it stops, whom it names, and what it leaves alone."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmstn.engine.hooks import NonFiniteHook
from mmstn.engine.hooks.non_finite_hook import _all_finite
from tests.engine import runs


@DATASETS.register_module(force=True)
class RealImages(Dataset):
    """Images of real numbers with names; number 5 may hold one bad pixel."""

    metainfo = dict(classes=['a', 'b'])

    def __init__(self, pixel=None):
        self.images = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        if pixel is not None:
            self.images[5, 0, 3, 4] = pixel

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        sample = DataSample(metainfo=dict(img_path=f'folder/{index}.png', sample_idx=int(index)))
        return dict(inputs=self.images[index], data_samples=sample.set_gt_label(int(index) % 2))


class Disturb(Hook):
    """Does something to the model before the third step."""

    def __init__(self, do):
        self.do = do

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            self.do(runner.model)


def runner(work_dir, pixel=None, collate='default_collate', do=None, **hook):
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(type='RealImages', pixel=pixel),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type=collate),
    )
    transformer = dict(
        loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
        grid_generator=dict(type='AffineGridGenerator'),
    )
    backbone = dict(type='MNISTCNN', in_size=28, channels=(2, 2))
    settings = runs.config(work_dir)
    settings.train_dataloader = loader
    settings.val_dataloader = settings.val_cfg = settings.val_evaluator = None
    settings.merge_from_dict(
        dict(
            model=dict(
                _delete_=True,
                type='ImageClassifier',
                data_preprocessor=dict(type='ClsDataPreprocessor'),
                backbone=dict(type='STNBackbone', transformer=transformer, backbone=backbone),
                head=dict(type='LinearClsHead', in_channels=8, num_classes=2),
            ),
            train_cfg=dict(max_iters=6),
            optim_wrapper=dict(clip_grad=dict(max_norm=5)),
            default_hooks=dict(
                non_finite=dict(type='NonFiniteHook', **hook),
                checkpoint=dict(interval=1, save_best=None, max_keep_ckpts=-1),
            ),
        )
    )
    result = Runner.from_cfg(settings)
    if do is not None:
        result.register_hook(Disturb(do), priority='VERY_HIGH')
    return result


@pytest.mark.parametrize('collate', ['default_collate', 'pseudo_collate'])
@pytest.mark.parametrize('pixel', [float('nan'), float('inf')])
def test_one_bad_pixel_stops_the_run_and_names_its_image(tmp_path, pixel, collate):
    run = runner(tmp_path, pixel, collate)
    message = r'step 2: the input is not finite in sample 1 of the batch \(folder/5.png, number 5\)'
    with pytest.raises(FloatingPointError, match=message + '.*Likely cause: the data'):
        run.train()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == [
        'iter_1.pth', 'non_finite_iter_2.pth'
    ]  # fmt: skip
    saved = torch.load(tmp_path / 'non_finite_iter_2.pth', weights_only=True)
    assert not saved['inputs'][1].isfinite().all()
    assert saved['inputs'][0].isfinite().all()
    assert 'folder/5.png' in saved['samples'][1]
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


def set_bias(value):
    def do(model):
        transformer = model.backbone.transformer
        with torch.no_grad():
            transformer.loc_net.regression.bias[2] = value

    return do


def break_output(module, where=0):
    """Makes a module's output infinite, as an overflow in half precision would."""

    def overflow(_, args, output):
        return output.index_fill(0, torch.tensor(where), float('inf'))

    return lambda model: model.get_submodule(module).register_forward_hook(overflow)


def break_gradient(model):
    model.backbone.streams[0].register_full_backward_hook(
        lambda module, grads, _: tuple(g if g is None else g * float('nan') for g in grads)
    )


@pytest.mark.parametrize(
    ('do', 'message'),
    [
        (set_bias(float('nan')), 'the weights backbone.transformer.loc_net.regression.bias are'),
        (set_bias(float('inf')), 'the weights backbone.transformer.loc_net.regression.bias are'),
        (
            break_output('backbone.transformer.loc_net', where=2),
            'theta of backbone.transformer is not finite for sample 2 of the batch .folder/10.png.*'
            'first in the output of backbone.transformer.loc_net.*rate',
        ),
        (
            break_output('head.fc'),
            'the output of head.fc is not finite.*rate',
        ),
        (break_gradient, 'the gradient of backbone.transformer.* is not finite.*rate'),
        (break_output('head.loss_module'), 'the output of head.loss_module is not finite'),
    ],
)
def test_the_first_culprit_is_named_before_the_weights_are_touched(tmp_path, do, message):
    run = runner(tmp_path, do=do)
    with pytest.raises(FloatingPointError, match='step 3: ' + message):
        run.train()
    assert (tmp_path / 'iter_2.pth').exists()
    assert not (tmp_path / 'iter_3.pth').exists()
    before = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict']
    changed = [name for name, x in run.model.state_dict().items() if not x.equal(before[name])]
    assert [name for name in changed if not name.endswith('regression.bias')] == []


def test_a_bad_step_is_skipped_on_demand(tmp_path):
    """No weight, no momentum and no running statistics know of the second step."""
    run = runner(tmp_path, float('nan'), max_skips=1)
    run.train()
    first, second, third = (runs.weights(tmp_path, f'iter_{i}.pth') for i in (1, 2, 3))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)
    weights = [name for name in first if isinstance(name, str)]
    assert any(not first[name].equal(third[name]) for name in weights)


def test_no_process_writes_over_the_batch_of_another(tmp_path, monkeypatch):
    module = 'mmstn.engine.hooks.non_finite_hook'
    monkeypatch.setattr(f'{module}.get_world_size', lambda: 2)
    monkeypatch.setattr(f'{module}.get_rank', lambda: 1)
    with pytest.raises(FloatingPointError, match='non_finite_iter_2_rank_1.pth'):
        runner(tmp_path, float('nan')).train()
    assert (tmp_path / 'non_finite_iter_2_rank_1.pth').is_file()


def test_a_run_that_is_only_skipped_stops(tmp_path):
    run = runner(tmp_path, do=break_output('head.loss_module'), max_skips=2)
    with pytest.raises(FloatingPointError, match='step 5: '):
        run.train()


def test_nothing_changes_where_all_is_well(tmp_path):
    runner(tmp_path / 'with').train()
    without = runner(tmp_path / 'without')
    without._hooks = [hook for hook in without.hooks if not isinstance(hook, NonFiniteHook)]
    without.train()
    expected = runs.weights(tmp_path / 'without', 'iter_6.pth')
    for name, value in runs.weights(tmp_path / 'with', 'iter_6.pth').items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_large_numbers_are_no_infinite_ones():
    """Their squares and sums overflow."""
    hook = NonFiniteHook()
    hook.before_train_iter(None, 0, dict(inputs=torch.full((2, 9), 3e38)))
    assert not hook._bad
    assert _all_finite([torch.ones(3), torch.full((9,), 3e38)])
    assert not _all_finite([torch.ones(3), torch.tensor([1, float('inf')])])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_checkpoint_that_is_not_finite_replaces_no_good_one(tmp_path, value):
    """Without NonFiniteHook too."""
    run = runner(tmp_path, do=set_bias(value))
    run._hooks = [hook for hook in run.hooks if not isinstance(hook, NonFiniteHook)]
    with pytest.raises(FloatingPointError, match='is not finite after step 3'):
        run.train()
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_1.pth', 'iter_2.pth'}


@pytest.mark.parametrize('value', [-1, 1.5, True, None])
def test_bad_arguments(value):
    with pytest.raises(ValueError, match='max_skips'):
        NonFiniteHook(max_skips=value)
