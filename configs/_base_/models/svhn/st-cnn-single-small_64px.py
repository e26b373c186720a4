# ST-CNN Single on cnn-small_64px.py. The localisation net is normalised too, has half the channels,
# and reads the image averaged down to 32 x 32.
_base_ = './cnn-small_64px.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(
                type='ConvLocNet',
                in_channels=3,
                in_size=64,
                downsample=2,
                channels=(16, 16),
                kernel_sizes=5,
                paddings=2,
                pool_sizes=(2, 1),
                fc_channels=(32, 32),
                norm_cfg=dict(type='BN'),
            ),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
        backbone={{_base_.model.backbone}},
    )
)
custom_hooks = [dict(type='STNVisualizationHook', num_samples=6)]
