# fc.py after two parallel STs, each with a localisation net of its own: both see both channels,
# and the net after them sees four (399,099 parameters; projective 399,231, TPS 400,815).
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='STNBackbone',
        # In front of the net's own layers: the views become channels of one image.
        insert=dict(
            layers=dict(
                num_transformers=2,
                loc_net=dict(
                    type='ParallelLocNet',
                    loc_net=dict(type='FCLocNet', in_channels=2, in_size=42, fc_channels=(32, 32)),
                ),
                grid_generator=dict(type='AffineGridGenerator'),
            )
        ),
        backbone=dict(type='MNISTFC', in_channels=4, in_size=42, downsample=2, channels=(91, 91)),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=19,
        in_channels=91,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
