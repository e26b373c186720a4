"""A localisation net of the user's own, any module that gives theta, works with everything."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import Dataset

from mmstn.apis import STNInferencer
from mmstn.visualization import record_transformers
from tests import tiny

SIZE = 32
# The left and the right half of the image, moved down by a tenth of it.
THETA = [[0.5, 0, -0.5, 0, 1, 0.2], [0.5, 0, 0.5, 0, 1, 0.2]]


@MODELS.register_module(force=True)
class OwnNet(nn.Module):
    """Knows nothing of mmstn: takes an image, gives theta, (N, 2, 6) or (N, 3)."""

    def __init__(self, start):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(start))
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.bias + self.weight * x.mean((1, 2, 3)).view(-1, *[1] * self.bias.dim())


@DATASETS.register_module(force=True)
class Sheep(Dataset):
    """Two digits and two parts in every image: ink and part 1 on the left, part 2 on the right."""

    metainfo = dict(classes=('a', 'b'), parts=('head', 'tail'), head_parts=('head',))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = torch.zeros(2, SIZE, SIZE, dtype=torch.uint8)
        image[0, 16, 4] = image[1, 16, 28] = 255
        sample = DataSample(metainfo=dict(img_shape=(SIZE, SIZE))).set_gt_label(index % 2)
        sample.set_field(np.array([[(4.5, 16.5, 1), (28.5, 16.5, 1)]], np.float32), 'gt_keypoints')
        sample.set_field(np.array([0, 0, SIZE, SIZE], np.float32), 'gt_box')
        return dict(inputs=image, data_samples=sample)


def transformer(as_module, start=THETA, **options):
    loc_net = dict(type='OwnNet', start=start)
    return dict(
        loc_net=MODELS.build(loc_net) if as_module else loc_net,
        grid_generator=dict(type='AffineGridGenerator'),
        num_transformers=2,
        **options,
    )


def classifier(channels=2, **options):
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[0.0] * channels, std=[255.0] * channels),
        backbone=dict(
            type='STNBackbone',
            backbone=dict(type='MNISTFC', in_size=SIZE, in_channels=channels, channels=(4,)),
            transformer=transformer(**options),
        ),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=8),
    )


def run_test(tmp_path, model, evaluator, hooks=()):
    runner = tiny.runner(
        tmp_path,
        model,
        test_dataloader=tiny.loader(dict(type='Sheep'), batch_size=3),
        test_cfg=dict(),
        test_evaluator=evaluator,
        custom_hooks=list(hooks),
        visualizer=dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    return runner.test(), Path(runner.log_dir)


@pytest.mark.parametrize('init', [None, THETA])
def test_hooks_and_metrics(tmp_path, init):
    options = dict(as_module=False)
    if init is not None:  # then it gives how far theta is from there
        options |= dict(init=init, start=np.zeros_like(THETA).astype('float32').tolist())
    metrics, folder = run_test(
        tmp_path,
        classifier(**options),
        [dict(type='DigitCoverage'), dict(type='PartLocalization')],
        [dict(type='WindowsHook'), dict(type='STNVisualizationHook', num_samples=2)],
    )
    expected = {
        'coverage/st1_digit1': 100, 'coverage/st1_digit2': 0, 'coverage/st2_digit2': 100,
        'coverage/divided': 100, 'parts/st1_head': 100, 'parts/st2_head': 0, 'parts/st2_body': 100,
        'parts/overlap': 0,
    }  # fmt: skip
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    (picture,) = (folder / 'vis_data' / 'vis_image').glob('*.png')
    assert cv2.imread(str(picture)) is not None


@pytest.mark.parametrize('as_module', [False, True])
def test_inferencer_and_records(tmp_path, as_module):
    config = Config(
        dict(
            model=classifier(channels=3, as_module=False),
            test_dataloader=dict(
                dataset=dict(
                    type='CustomDataset',
                    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
                )
            ),
        )
    )
    inferencer = STNInferencer(config, False, device='cpu')
    if as_module:
        model = MODELS.build(classifier(channels=3, as_module=True)).eval()
        inferencer.model.backbone.transformer = model.backbone.transformer
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    (result,) = inferencer(image, draw=True)
    (found,) = result['transformers']
    np.testing.assert_allclose(found['theta'], THETA)
    np.testing.assert_allclose(found['windows'][0, 0], [-1, -0.8])
    assert result['picture'].ndim == 3
    with record_transformers(inferencer.model) as records:
        inferencer.model(torch.rand(2, 3, SIZE, SIZE), mode='tensor')
    np.testing.assert_allclose(records[0].theta, [THETA] * 2)


def test_co_localisation(tmp_path):
    layer = dict(
        type='ActivationEncoder',
        classifier=dict(
            type='ImageClassifier',
            backbone=dict(type='MNISTFC', in_size=SIZE, in_channels=2, channels=(4,)),
            head=dict(type='LinearClsHead', num_classes=2, in_channels=4),
        ),
        layers=['head.fc'],
    )
    model = dict(
        type='STNCoLocalizer',
        data_preprocessor=dict(mean=[0.0] * 2, std=[255.0] * 2),
        transformer=dict(
            loc_net=dict(type='OwnNet', start=[0.8, 0.0, 0.0]),
            grid_generator=dict(type='AttentionGridGenerator'),
        ),
        encoder=layer,
        loss=dict(type='TripletHingeLoss'),
    )
    metrics, _ = run_test(tmp_path, model, dict(type='CorLoc'))
    assert metrics == pytest.approx(dict(corloc=100, mean_iou=64))
