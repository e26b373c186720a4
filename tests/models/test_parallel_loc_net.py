"""Localisation nets of their own for parallel transformers."""

import pytest
import torch

from mmstn.models import ParallelLocNet, SpatialTransformer

ONE = dict(type='mmpretrain.FCLocNet', in_channels=2, in_size=6, fc_channels=(8,))


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    return SpatialTransformer(
        loc_net=dict(type='mmpretrain.ParallelLocNet', loc_net=ONE),
        grid_generator=dict(type='mmpretrain.AffineGridGenerator'),
        num_transformers=2,
        init='tile',
    )


def test_starts_where_the_transformer_says(transformer):
    _, theta = transformer(torch.rand(3, 2, 6, 6), return_theta=True)
    left, right = [0.5, 0, -0.5, 0, 1, 0], [0.5, 0, 0.5, 0, 1, 0]  # halves of the map
    torch.testing.assert_close(theta, torch.tensor([[left, right]]).expand(3, 2, 6))


def test_each_transformer_has_parameters_of_its_own(transformer):
    torch.nn.init.normal_(transformer.loc_net.loc_nets[0].regression.weight)
    torch.nn.init.normal_(transformer.loc_net.loc_nets[1].regression.weight)
    offset = transformer.loc_net(torch.rand(3, 2, 6, 6))
    offset[:, 1].sum().backward()
    first, second = transformer.loc_net.loc_nets
    assert all(p.grad is None or not p.grad.any() for p in first.parameters())
    assert all(p.grad.any() for p in second.parameters())


def test_says_what_is_wrong():
    with pytest.raises(TypeError, match="loc_net must be a config.*got 'FCLocNet'"):
        ParallelLocNet('FCLocNet', num_params=6, num_transformers=2)
    with pytest.raises(TypeError, match='num_transformers.*got None'):
        ParallelLocNet(ONE, num_params=6, num_transformers=None)
