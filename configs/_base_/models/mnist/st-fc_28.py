# fc_28.py after a spatial transformer, as large altogether: 400,880 parameters (projective
# 400,946, TPS 401,738).
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='STNBackbone',
        transformer=dict(
            loc_net=dict(type='FCLocNet', in_channels=1, in_size=28, fc_channels=(32, 32)),
            grid_generator=dict(type='AffineGridGenerator'),
        ),
        backbone=dict(type='MNISTFC', in_size=28, channels=(332, 332)),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=332,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
