"""Volumes to images, alone and after a transformer of volumes."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmstn.models import DepthProjection

NET = dict(type='MNISTFC', in_size=6, channels=(4,))


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


@pytest.mark.parametrize(
    ('mode', 'expected'), [('mean', [2.0, 1.0]), ('sum', [6.0, 3.0]), ('max', [5.0, 3.0])]
)
def test_projects_along_depth(mode, expected):
    columns = torch.tensor([[1.0, 0, 5], [0, 3, 0]])  # along depth, at two places
    volume = columns.T.reshape(1, 1, 3, 1, 2)
    projection = DepthProjection(dict(NET, in_size=2), mode).project(volume)
    assert projection.shape == (1, 1, 1, 2)
    assert projection.flatten().tolist() == expected


def test_a_transformer_that_turns_the_volume_changes_the_view():
    # (x, y, z) of the output is (z, y, x) of the input: a look from the side.
    theta = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    backbone = MODELS.build(
        dict(
            type='STNBackbone',
            transformer=dict(
                loc_net=dict(
                    type='ConvLocNet', ndim=3, in_channels=1, in_size=6, downsample=1,
                    channels=(2,), kernel_sizes=3, pool_sizes=1, fc_channels=(4,),
                ),
                grid_generator=dict(type='AffineGridGenerator', ndim=3),
                init=theta,
            ),
            backbone=dict(type='DepthProjection', backbone=NET),
        )
    )  # fmt: skip
    torch.manual_seed(0)
    volume = torch.rand(2, 1, 6, 6, 6)
    (found,) = backbone(volume)
    seen = volume.double().mean(dim=4).transpose(2, 3).float()  # (N, C, D, H) -> (N, C, H, D)
    (expected,) = backbone.streams[0].backbone(seen)
    torch.testing.assert_close(found, expected)


def test_says_what_is_wrong():
    with pytest.raises(TypeError, match="backbone must be a config.*got 'MNISTFC'"):
        DepthProjection('MNISTFC')
    with pytest.raises(ValueError, match="mode.*got 'min'"):
        DepthProjection(NET, mode='min')
    with pytest.raises(ValueError, match=r'got shape \(1, 1, 6, 6\)'):
        DepthProjection(NET)(torch.zeros(1, 1, 6, 6))
