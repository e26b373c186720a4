# ST-CNN Multi on cnn-small_64px.py. The localisation nets are normalised too, and read maps
# averaged down to 16 x 16.
_base_ = './cnn-small_64px.py'

norm_cfg = dict(type='BN1d')
net = dict(type='FCLocNet', fc_channels=(32, 32), norm_cfg=norm_cfg)
affine = dict(type='AffineGridGenerator')
model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        insert=dict(
            conv1=dict(
                loc_net=dict(net, in_channels=3, in_size=64, downsample=4), grid_generator=affine
            ),
            conv2=dict(
                loc_net=dict(net, in_channels=6, in_size=32, downsample=2), grid_generator=affine
            ),
            conv3=dict(
                loc_net=dict(net, in_channels=8, in_size=32, downsample=2), grid_generator=affine
            ),
            conv4=dict(
                loc_net=dict(net, in_channels=16, in_size=16, downsample=1), grid_generator=affine
            ),
        ),
        backbone={{_base_.model.backbone}},
    )
)
custom_hooks = [dict(type='STNVisualizationHook', num_samples=6)]
