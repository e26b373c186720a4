# ST-CNN Multi: an affine transformer before each of the first four convolutions, on the maps
# that these read (the second and the fourth ones are after a max-pooling by 2).
_base_ = './cnn_64px.py'

affine = dict(type='AffineGridGenerator')
model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        insert=dict(
            conv1=dict(
                loc_net=dict(type='FCLocNet', in_channels=3, in_size=64, fc_channels=(32, 32)),
                grid_generator=affine,
            ),
            conv2=dict(
                loc_net=dict(type='FCLocNet', in_channels=48, in_size=32, fc_channels=(32, 32)),
                grid_generator=affine,
            ),
            conv3=dict(
                loc_net=dict(type='FCLocNet', in_channels=64, in_size=32, fc_channels=(32, 32)),
                grid_generator=affine,
            ),
            conv4=dict(
                loc_net=dict(type='FCLocNet', in_channels=128, in_size=16, fc_channels=(32, 32)),
                grid_generator=affine,
            ),
        ),
        backbone={{_base_.model.backbone}},
    )
)
