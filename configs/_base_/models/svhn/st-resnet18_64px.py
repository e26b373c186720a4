# An affine transformer before the network, and one on the features of its second stage.
_base_ = './resnet18_64px.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(type='ConvLocNet', in_channels=3, in_size=64, channels=(32, 32)),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
        insert=dict(
            layer2=dict(
                loc_net=dict(type='ConvLocNet', in_channels=64, channels=(32, 32)),
                grid_generator=dict(type='AffineGridGenerator'),
            )
        ),
        backbone={{_base_.model.backbone}},
    )
)
