from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, HOOKS
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmstn.engine.hooks import STNVisualizationHook
from mmstn.visualization import COLORS
from tests import tiny

ORANGE = list(COLORS[0])


@DATASETS.register_module(force=True)
class GreySteps(Dataset):
    """Flat images, the brighter the later, in classes that follow each other."""

    metainfo = dict(classes=['low', 'high'])

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        value = round(10 + 200 * index / self.length)
        sample = DataSample().set_gt_label(int(2 * index // self.length))
        return dict(inputs=torch.full((1, 28, 28), value, dtype=torch.uint8), data_samples=sample)


@DATASETS.register_module(force=True)
class GreyStepsInTwoForms(GreySteps):
    """The same for test-time augmentation: as they are, and a little brighter."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        forms = [item['inputs'], item['inputs'] + 5]
        return dict(inputs=forms, data_samples=[item['data_samples'], item['data_samples'].clone()])


# Half as large, centred at (0.25, -0.25): from x = -0.25 to 0.75 and y = -0.75 to 0.25.
ST = dict(
    type='STNBackbone',
    transformer=dict(
        loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
        grid_generator=dict(type='AffineGridGenerator'),
        init=[0.5, 0, 0.25, 0, 0.5, -0.25],
    ),
    backbone=dict(type='MNISTCNN', in_size=28, channels=(2, 2)),
)


def make_runner(
    work_dir, hook, backbone=ST, max_epochs=1, lr=0.0, batch_size=3, tta=False, **kwargs
):
    dataset = dict(type='GreyStepsInTwoForms' if tta else 'GreySteps', length=10)
    loader = tiny.loader(dataset, batch_size)
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='ClsDataPreprocessor', mean=[100.0], std=[50.0]),
        backbone=backbone,
        head=dict(
            type='LinearClsHead',
            num_classes=2,
            in_channels=8,
            loss=dict(type='CrossEntropyLoss'),
        ),
    )
    return tiny.runner(
        work_dir,
        dict(type='AverageClsScoreTTA', module=model) if tta else model,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs, val_interval=1),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=dict(type='Accuracy', topk=(1,)),
        test_evaluator=dict(type='Accuracy', topk=(1,)),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr)),
        custom_hooks=[hook] if hook else [],
        visualizer=dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
        **kwargs,
    )


def pictures(runner):
    return sorted(
        path.name for path in (runner_dir(runner) / 'vis_data' / 'vis_image').glob('*.png')
    )


def runner_dir(runner):
    return Path(runner.log_dir)


def read(runner, name):
    picture = cv2.imread(str(runner_dir(runner) / 'vis_data' / 'vis_image' / name))
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def test_the_picture_shows_the_window_on_the_image_and_the_output(tmp_path):
    hook = dict(type='STNVisualizationHook', num_samples=2, tile_size=112, margin=0.25)
    runner = make_runner(tmp_path / 'run', hook)
    runner.train()
    picture = read(runner, 'val_transformers_1.png')
    # Samples 2 and 7 of 10 (the middles of two halves) have the values 50 and 150.
    for value in (50, 150):
        image = (picture == value).all(-1)
        left = np.flatnonzero(image.sum(0) > 50).min()
        top = np.flatnonzero(image[:, left + 10 :].sum(1) > 50).min()
        # The image is 112 px wide: the window goes from 0.375 to 0.875 of it, 0.125 to 0.625 down.
        for x, y in [(0.375, 0.4), (0.875, 0.4), (0.6, 0.125), (0.6, 0.625)]:
            line = picture[round(top + 112 * y), round(left + 112 * x)]
            assert line.tolist() == ORANGE
        assert picture[top + 40, left + 60].tolist() == [value] * 3
        # The output lies inside the image, so it is flat too.
        output = image[top + 112 + 28 :, left : left + 112]
        assert output.sum() > 100 * 100


@pytest.mark.parametrize('batch_size', [1, 3, 4, 10])
@pytest.mark.parametrize('tta', [False, True])
def test_the_images_that_were_meant_whatever_the_batch(tmp_path, batch_size, tta):
    hook = dict(type='STNVisualizationHook', num_samples=3)
    runner = make_runner(tmp_path / 'run', hook, batch_size=batch_size, tta=tta)
    runner.test()
    picture = read(runner, 'test_transformers_0.png')
    # Samples 1, 5 and 8 of 10, the middles of three parts, as they are.
    left = [np.flatnonzero((picture == v).all(-1).sum(0) > 50).min() for v in (30, 110, 170)]
    assert left == sorted(left)
    for value in range(10, 210, 20):
        shown = (picture == value).all(-1).sum() > 100 * 100
        assert shown == (value in (30, 110, 170)), value
        assert (picture == value + 5).all(-1).sum() < 100


@pytest.mark.parametrize('wrapper', ['ema', 'compiled forward', 'compiled'])
def test_models_in_wrappers(tmp_path, wrapper):
    hook = dict(type='STNVisualizationHook', num_samples=2)
    runner = make_runner(tmp_path / 'run', hook)
    if wrapper == 'ema':
        runner.register_hook(HOOKS.build(dict(type='EMAHook')))
        runner.train()
        assert pictures(runner) == ['val_transformers_1.png']
        return
    x = torch.rand(2, 1, 28, 28)
    if wrapper == 'compiled':
        runner.model.backbone = torch.compile(runner.model.backbone, backend='eager')
    else:
        runner.model.forward = torch.compile(runner.model.forward, backend='eager')
    with torch.no_grad():
        runner.model.eval()
        runner.model(x, mode='tensor')  # compiled before the hook listens
    runner.test()
    picture = read(runner, 'test_transformers_0.png')
    assert all((picture == v).all(-1).sum() > 100 * 100 for v in (50, 150))
    assert (picture == ORANGE).all(-1).sum() > 4 * 56


def test_always_the_same_samples_after_every_validation_and_test(tmp_path):
    runner = make_runner(tmp_path / 'run', dict(type='STNVisualizationHook'), max_epochs=3)
    runner.train()
    runner.test()
    names = [f'val_transformers_{epoch}.png' for epoch in (1, 2, 3)]
    assert pictures(runner) == ['test_transformers_3.png', *names]
    first, last = (read(runner, name) for name in names[::2])
    # The model does not learn, so only the number in the heading changes.
    np.testing.assert_array_equal(first[60:], last[60:])
    assert (first != last).any()


def test_interval(tmp_path):
    hook = dict(type='STNVisualizationHook', interval=2)
    runner = make_runner(tmp_path / 'run', hook, max_epochs=4)
    runner.train()
    assert pictures(runner) == ['val_transformers_1.png', 'val_transformers_3.png']


def test_a_test_alone(tmp_path, monkeypatch):
    """Which must not ask for the training data: it may not be there."""
    monkeypatch.setattr(Runner, 'build_train_loop', lambda *_: pytest.fail('a loop was built'))
    runner = make_runner(tmp_path / 'run', dict(type='STNVisualizationHook'))
    runner.test()
    assert pictures(runner) == ['test_transformers_0.png']


def test_training_is_the_same_with_and_without(tmp_path):
    class Modes(Hook):
        priority = 'LOWEST'

        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert not any(module.training for module in runner.model.modules())

    weights = []
    for name, hook in [('with', dict(type='STNVisualizationHook')), ('without', None)]:
        runner = make_runner(tmp_path / name, hook, max_epochs=2, lr=0.1)
        runner.register_hook(Modes())
        runner.train()
        weights.append([p.detach() for p in runner.model.parameters()])
        weights[-1].append(torch.rand(3))  # where the generator stands
        assert not any(module._forward_hooks for module in runner.model.modules())
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_a_model_without_transformers_is_left_alone(tmp_path):
    runner = make_runner(
        tmp_path / 'run', dict(type='STNVisualizationHook'), backbone=ST['backbone']
    )
    runner.train()
    assert pictures(runner) == []


def test_it_reaches_every_backend(tmp_path):
    runner = make_runner(tmp_path / 'run', dict(type='STNVisualizationHook'))
    images = []
    runner.visualizer.add_image = lambda name, image, step: images.append((name, image, step))
    runner.train()
    ((name, image, step),) = images
    assert (name, step) == ('val_transformers', 1)
    assert image.dtype == np.uint8 and image.ndim == 3


def test_built_from_the_registry():
    assert isinstance(HOOKS.build(dict(type='STNVisualizationHook')), STNVisualizationHook)


@pytest.mark.parametrize('option', [dict(num_samples=0), dict(interval=0), dict(interval=1.5)])
def test_bad_options(option):
    (name,) = option
    with pytest.raises((TypeError, ValueError), match=f'{name} must be a whole number >= 1'):
        STNVisualizationHook(**option)
