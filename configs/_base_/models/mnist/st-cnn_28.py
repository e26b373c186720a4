# cnn_28.py after a spatial transformer, as large altogether: 397,976 parameters (projective
# 398,018, TPS 398,522). The localisation net's sizes are from a second-hand account of the paper's
# appendix.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(
                type='ConvLocNet',
                in_channels=1,
                in_size=28,
                downsample=2,
                channels=(20, 20),
                kernel_sizes=5,
                pool_sizes=(2, 1),
                fc_channels=(20,),
            ),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
        backbone=dict(type='MNISTCNN', in_size=28, channels=(62, 124), kernel_sizes=(9, 7)),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=4 * 124,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
