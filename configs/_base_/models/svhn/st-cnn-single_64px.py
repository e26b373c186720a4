# ST-CNN Single: one affine transformer before the CNN.
_base_ = './cnn_64px.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(
                type='ConvLocNet',
                in_channels=3,
                in_size=64,
                downsample=1,
                channels=(32, 32),
                kernel_sizes=5,
                paddings=2,  # as in the CNN; the paper does not say
                pool_sizes=(2, 1),
                fc_channels=(32, 32),
            ),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
        backbone={{_base_.model.backbone}},
    )
)
