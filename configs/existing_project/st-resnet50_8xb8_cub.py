# mmpretrain's own config for CUB with an affine ST before its backbone, and nothing else.
_base_ = 'mmpretrain::resnet/resnet50_8xb8_cub.py'

custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        backbone=_base_.model.backbone,
        transformer=dict(
            loc_net=dict(type='ConvLocNet', in_channels=3, downsample=4),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
    )
)
