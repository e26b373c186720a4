"""One checkpoint for the localisation net and every stream of the CUB models."""

import pytest
import torch
from mmpretrain.registry import MODELS

from mmstn.models import InceptionV2


def build(loc_net_stages=(1,), **options):
    backbone = dict(type='InceptionV2', out_indices=(1,))
    return MODELS.build(
        dict(
            type='STNBackbone',
            backbone=backbone,
            transformer=dict(
                loc_net=dict(
                    type='BackboneLocNet',
                    backbone=dict(backbone, out_indices=loc_net_stages),
                    in_size=64,
                    downsample=2,
                ),
                grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
                num_transformers=2,
                out_size=(32, 32),
                init='tile',
            ),
            streams='separate',
            **options,
        )
    )


@pytest.mark.parametrize('loc_net_stages', [(1,), (0,)])
def test_one_setting_loads_all(tmp_path, loc_net_stages):
    torch.manual_seed(0)
    plain = InceptionV2(out_indices=(1,))
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter)
    torch.save({f'backbone.{k}': v for k, v in plain.state_dict().items()}, tmp_path / 'plain.pth')

    checkpoint = dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'), prefix='backbone.')
    model = build(loc_net_stages, init_cfg=checkpoint)
    model.init_weights()
    loc_net = model.transformer.loc_net
    for backbone in (*model.streams, loc_net.backbone):
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(tensor, plain.state_dict()[name]), name
    theta = model.transformer(torch.rand(3, 3, 64, 64), return_theta=True)[1]
    assert torch.equal(theta, torch.tensor([[[-0.5, 0], [0.5, 0]]]).expand(3, 2, 2))


def test_a_loc_net_of_another_backbone_is_left_alone():
    model = build()
    model.transformer.loc_net.backbone = torch.nn.Conv2d(3, 64, 1)
    before = {k: v.clone() for k, v in model.transformer.loc_net.state_dict().items()}
    left = model.load_state_dict(InceptionV2(out_indices=(1,)).state_dict(), strict=False)
    assert all(name.startswith('transformer.') for name in left.missing_keys)
    assert not left.unexpected_keys
    for name, tensor in model.transformer.loc_net.state_dict().items():
        assert torch.equal(tensor, before[name])
