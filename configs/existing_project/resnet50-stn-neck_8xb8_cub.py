# The same project with an ST on the backbone's last feature map, before the pooling.
_base_ = 'mmpretrain::resnet/resnet50_8xb8_cub.py'

custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)

model = dict(
    neck=[
        dict(
            type='STNNeck',
            transformer=dict(
                loc_net=dict(type='ConvLocNet', in_channels=2048, kernel_sizes=3, downsample=1),
                grid_generator=dict(type='AffineGridGenerator'),
            ),
        ),
        _base_.model.neck,
    ]
)
