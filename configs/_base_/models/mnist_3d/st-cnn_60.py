# A 3-D affine ST, whose output is projected along depth. The localisation net, of which the paper
# says nothing, sees 15x15x15 voxels (406,598 parameters in all).
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(
                type='ConvLocNet',
                ndim=3,
                in_channels=1,
                in_size=60,
                downsample=4,
                channels=(16, 32),
                kernel_sizes=(5, 3),
                pool_sizes=(2, 1),
                fc_channels=(32,),
            ),
            grid_generator=dict(type='AffineGridGenerator', ndim=3),
            # Half the size: at the start each point lies between eight voxels and averages them.
            out_size=(30, 30, 30),
        ),
        backbone=dict(
            type='DepthProjection',
            backbone=dict(type='MNISTCNN', in_size=30, channels=(60, 120)),
        ),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=4 * 120,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
