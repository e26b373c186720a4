"""Every config trains: it is run as it stands for one iteration on a few samples.

Data that may not be on this machine gives way to a folder of the same format with a few samples,
which ``STAND_INS`` writes; weights that would be downloaded are left out. All else is the config's.
"""

import math
import shutil
import struct
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from reproduce import Experiment

from mmstn.datasets.cub import PARTS
from mmstn.datasets.digit_struct import write_digit_struct
from mmstn.datasets.mnist5k import load_digits
from mmstn.models.loc_nets.base import OffsetRegression

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)
FOLDERS = sorted({Path(path).parent.as_posix() for path in CONFIGS})
BATCH_SIZE = 2
TABLES = {
    path: [
        Experiment.load(path, version) for version in yaml.safe_load(path.read_text())['versions']
    ]
    for path in sorted((ROOT / 'configs').glob('*/experiment.yml'))
}
CELLS = [(table, cell) for tables in TABLES.values() for table in tables for cell in table.configs]


def merged(path, options):
    """A config with the options of a table's row."""
    cfg = Config.fromfile(ROOT / path)
    cfg.merge_from_dict({key: yaml.safe_load(value) for key, value in options.items()})
    return cfg


def setups():
    """Every config, with the table and the cell that it is of, and every cell without a file."""
    cells = {}
    for table, cell in CELLS:
        options = table.options.get(cell, {})
        path = table.configs[cell].relative_to(ROOT).as_posix()
        name = f'{path} {cell}' if options else path
        cells[name] = path, options, table.metric
    files = {path: (path, {}, None) for path in CONFIGS}
    return [pytest.param(*setup, id=name) for name, setup in {**files, **cells}.items()]


def write_mnist(folder):
    """The four files of MNIST, with one digit of each class."""
    images, labels = (part[::500] for part in load_digits())
    for images_name, labels_name in (
        ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
        ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
    ):
        header = struct.pack('>4I', 0x803, *images.shape)
        (folder / images_name).write_bytes(header + images.tobytes())
        header = struct.pack('>2I', 0x801, len(labels))
        (folder / labels_name).write_bytes(header + labels.astype(np.uint8).tobytes())


def write_cub(folder):
    """CUB-200-2011 with two images to train and two to test."""
    random = np.random.default_rng(0)
    tables = {
        'images': [],
        'image_class_labels': [],
        'train_test_split': [],
        'bounding_boxes': [],
        'classes': [f'{number} {number:03d}.Bird' for number in range(1, 201)],
        'parts/part_locs': [],
        'parts/parts': [f'{number} {name}' for number, name in enumerate(PARTS, 1)],
    }
    for number in range(1, 5):
        name = f'{number:03d}.Bird/Bird_{number:04d}.jpg'
        (folder / 'images' / name).parent.mkdir(parents=True)
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'images' / name), cv2.resize(coarse, (500, 375)))
        tables['images'].append(f'{number} {name}')
        tables['image_class_labels'].append(f'{number} {number}')
        tables['train_test_split'].append(f'{number} {number % 2}')
        tables['bounding_boxes'].append(f'{number} 100.0 80.0 300.0 200.0')
        tables['parts/part_locs'] += [
            f'{number} {part + 1} {180 + 8 * part}.0 {150 + part}.0 1' for part in range(len(PARTS))
        ]
    (folder / 'parts').mkdir()
    for name, lines in tables.items():
        (folder / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def write_svhn(folder):
    """SVHN with three images in each folder: two to train or to test, one to hold out."""
    numbers = {f'{i}.png': [(10, 8, 12, 20, i), (24, 8, 12, 20, 0)] for i in range(1, 4)}
    random = np.random.default_rng(0)
    for split in ('train', 'extra', 'test'):
        (folder / split).mkdir()
        for name in numbers:
            coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / split / name), cv2.resize(coarse, (60, 40)))
        path = folder / split / 'digitStruct.mat'
        write_digit_struct(str(path), list(numbers), list(numbers.values()))


STAND_INS = {
    'MNIST': write_mnist,
    'CUB': write_cub,
    'CUBParts': write_cub,
    'SVHN': write_svhn,
}
"""What writes a few samples in the format of a registered dataset that has a ``data_root``."""


@pytest.fixture(scope='session')
def stand_ins(tmp_path_factory):
    """Folders of data by the type of their dataset."""
    folders = {name: tmp_path_factory.mktemp(name) for name in STAND_INS}
    for name, write in STAND_INS.items():
        write(folders[name])
    return folders


@pytest.fixture
def work_dir(tmp_path):
    """A folder that does not outlive the test: checkpoints add up."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def dicts_in(value):
    """All dicts of a config, nested ones too."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from dicts_in(item)


def shrink(cfg, stand_ins, work_dir):
    """One iteration of two samples in this process, without a network."""
    cfg.experiment_name = uuid.uuid4().hex  # mmengine's globals go by it
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'
    for name in ('train_dataloader', 'val_dataloader'):
        loader = cfg[name]
        loader.update(batch_size=BATCH_SIZE, num_workers=0, persistent_workers=False)
        for dataset in dicts_in(loader.dataset):
            if dataset.get('type') in stand_ins:
                dataset.data_root = str(stand_ins[dataset.type])
            if 'type' in dataset and hasattr(DATASETS.get(dataset.type), 'load_data_list'):
                # Serialising would collect garbage, which takes longer than the training.
                dataset.update(indices=BATCH_SIZE, serialize_data=False)
            if 'num_val' in dataset:
                dataset.num_val = 1
    by_epoch = cfg.train_cfg.get('type') == 'EpochBasedTrainLoop' or cfg.train_cfg.get('by_epoch')
    cfg.train_cfg.update({'max_epochs' if by_epoch else 'max_iters': 1, 'val_interval': 1})
    cfg.load_from = None
    for part in dicts_in(cfg.model):
        for init_cfg in dicts_in(part.get('init_cfg')):
            if init_cfg.get('type') == 'Pretrained':
                part.init_cfg = None
                break
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':  # which refuses a CPU
        cfg.optim_wrapper = ConfigDict(optimizer=cfg.optim_wrapper.optimizer)
    return cfg


class Watch(Hook):
    """Keeps what the iteration did."""

    def before_train(self, runner):
        self.gradients = {}
        self.before = {}
        for name, parameter in runner.model.named_parameters():
            self.before[name] = parameter.detach().clone()
            if parameter.requires_grad:
                parameter.register_hook(lambda grad, name=name: self.keep(name, grad))

    def keep(self, name, gradient):
        self.gradients[name] = gradient.clone()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.loss = outputs['loss'].item()

    def after_val_epoch(self, runner, metrics=None):
        self.metrics = metrics


@pytest.mark.parametrize(('path', 'options', 'metric'), setups())
def test_config_trains(path, options, metric, stand_ins, work_dir, monkeypatch):
    check_that_it_trains(shrink(merged(path, options), stand_ins, work_dir), monkeypatch, metric)


# STs before, inside and after a backbone, several side by side and in series, and a loss of pairs.
BY_DIFFERENCES = [
    'configs/cub/2x-st-small_1xb32-1200_birds-192.py',
    'configs/existing_project/resnet50-stn-neck_8xb8_cub.py',
    'configs/mnist/st-cnn-tps_1xb64-2k_mnist5k-r.py',
    'configs/mnist_coloc/st_1xb50-400_mnist5k-tc_digit0.py',
    'configs/svhn/st-cnn-multi-small_1xb32-4500_svhn-like-64px.py',
]


@pytest.mark.parametrize('path', BY_DIFFERENCES)
def test_config_trains_by_differences_of_the_loss(path, stand_ins, work_dir, monkeypatch):
    cfg = shrink(Config.fromfile(ROOT / path), stand_ins, work_dir)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='LossDifferencesHook', step=0.1)]
    check_that_it_trains(cfg, monkeypatch)


def check_that_it_trains(cfg, monkeypatch, metric=None):
    """Trains for one iteration, which must give each part a gradient, and validates."""
    # What takes most of the time and is not the config's: asking compilers, formatting code.
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: f'config = {cfg.to_dict()}'))
    runner = Runner.from_cfg(cfg)
    watch = Watch()
    runner.register_hook(watch)
    runner.train()

    assert math.isfinite(watch.loss)
    assert all(gradient.isfinite().all() for gradient in watch.gradients.values())
    after = dict(runner.model.named_parameters())
    assert any(not torch.equal(after[name], watch.before[name]) for name in watch.gradients)
    regressions = [
        name for name, part in runner.model.named_modules() if isinstance(part, OffsetRegression)
    ]
    assert bool(regressions) == ('loc_net' in str(cfg.model))
    for name in regressions:
        gradient = watch.gradients[f'{name}.bias']
        if 'DepthProjection' in cfg.pretty_text:  # where along depth things are does not show
            gradient = gradient[:8]  # the rows of x and y
        if 'ScaleAnnealingHook' in cfg.pretty_text:  # the scale is held at first
            gradient = gradient[1:]
        assert (gradient != 0).all(), f'no gradient reaches part of the bias of {name}'
    assert watch.metrics and all(math.isfinite(value) for value in watch.metrics.values())
    assert metric is None or metric in watch.metrics  # or its table would have no figure

    if metric is not None:  # a cell of a table, which is resumed when it was killed
        iterations, weights = runner.iter, runner.model.state_dict()
        weights = {name: weight.clone() for name, weight in weights.items()}
        for parameter in runner.model.parameters():
            parameter.data.zero_()
        runner.resume((Path(cfg.work_dir) / 'last_checkpoint').read_text())
        assert runner.iter == iterations
        torch.testing.assert_close(runner.model.state_dict(), weights, rtol=0, atol=0)


def metafile_of(folder):
    return yaml.safe_load((ROOT / folder / 'metafile.yml').read_text())


@pytest.mark.parametrize('folder', FOLDERS)
def test_readme_lists_every_config(folder):
    readme = (ROOT / folder / 'README.md').read_text()
    missing = [path for path in CONFIGS if Path(path).parent == Path(folder)]
    missing = [path for path in missing if f']({Path(path).name})' not in readme]
    assert not missing


@pytest.mark.parametrize('folder', [f for f in FOLDERS if (ROOT / f / 'metafile.yml').exists()])
def test_metafile_lists_every_config(folder):
    models = metafile_of(folder)['Models']
    listed = [model['Config'] for model in models]
    assert sorted(listed) == [path for path in CONFIGS if Path(path).parent == Path(folder)]
    assert [model['Name'] for model in models] == [Path(path).stem for path in listed]
    collections = {collection['Name'] for collection in metafile_of(folder)['Collections']}
    assert {model['In Collection'] for model in models} <= collections


@pytest.mark.parametrize(
    ('table', 'cell'),
    [pytest.param(table, cell, id=f'{table.version} {cell}')
     for table, cell in CELLS if table.name == 'mnist'],
)  # fmt: skip
def test_mnist_models_are_of_the_papers_size(table, cell):
    """About 400,000 parameters (section 4.1 of the paper), and as many as the metafile says."""
    init_default_scope('mmpretrain')
    path = table.configs[cell].relative_to(ROOT).as_posix()
    options = table.options.get(cell, {})
    built = MODELS.build(merged(path, options).model)
    parameters = sum(parameter.numel() for parameter in built.parameters())
    assert abs(parameters - 400_000) <= 0.05 * 400_000
    (model,) = (x for x in metafile_of('configs/mnist')['Models'] if x['Config'] == path)
    assert options or parameters == model['Metadata']['Parameters']


@pytest.mark.parametrize(
    'path',
    [path for path in CONFIGS if path.startswith(('configs/mnist_addition/', 'configs/mnist_3d/'))],
)
def test_models_of_addition_and_volumes_are_of_that_size_too(path):
    init_default_scope('mmpretrain')
    model = MODELS.build(Config.fromfile(ROOT / path).model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert abs(parameters - 400_000) <= 0.05 * 400_000
