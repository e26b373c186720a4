"""STNNeck: on one map or several, with parallel transformers, among other necks."""

import pytest
import torch
from mmpretrain.registry import MODELS

from mmstn.models import STNNeck


def inside(channels, **options):
    loc_net = dict(
        type='ConvLocNet', in_channels=channels, kernel_sizes=3, paddings=1, downsample=1
    )
    return dict(loc_net=loc_net, grid_generator=dict(type='AffineGridGenerator'), **options)


def test_on_a_tensor_or_a_tuple():
    low, high = torch.rand(2, 4, 10, 10), torch.rand(2, 6, 8, 8)
    neck = STNNeck(inside(6))
    torch.testing.assert_close(neck(high), high, rtol=0, atol=2e-6)
    out = neck((low, high))
    assert out[0] is low
    torch.testing.assert_close(out[1], high, rtol=0, atol=2e-6)
    both = STNNeck([inside(4, out_size=0.5), inside(6)], stages=(0, 1))
    assert [tuple(x.shape) for x in both((low, high))] == [(2, 4, 5, 5), (2, 6, 8, 8)]


def test_with_parallel_transformers():
    image = torch.rand(2, 6, 8, 8)
    halves = [image[..., :4], image[..., 4:]]
    options = dict(num_transformers=2, init='tile', out_size=(8, 4))
    concat = STNNeck(inside(6, **options))(image)
    torch.testing.assert_close(concat, torch.cat(halves, dim=1), rtol=0, atol=2e-6)
    stacked = STNNeck(inside(6, **options), fusion='stack')(image)
    torch.testing.assert_close(stacked, torch.stack(halves, dim=1), rtol=0, atol=2e-6)


def test_works_in_a_list_of_necks():
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
            neck=[dict(type='STNNeck', transformer=inside(64)), dict(type='GlobalAveragePooling')],
            head=dict(type='LinearClsHead', num_classes=3, in_channels=64),
        )
    )
    assert model(torch.rand(2, 3, 256, 256), mode='tensor').shape == (2, 3)


def test_bad_necks_are_named():
    with pytest.raises(ValueError, match="fusion.*'mean'"):
        STNNeck(inside(6), fusion='mean')
    with pytest.raises(ValueError, match=r'one config for each of stages \(0, 1\), got 1'):
        STNNeck(inside(6), stages=(0, 1))
    with pytest.raises(ValueError, match='stages.*2 inputs, got 4'):
        STNNeck(inside(6), stages=4)((torch.rand(1, 6, 8, 8),) * 2)
