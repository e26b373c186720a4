# Projected along depth as it is, then mnist/cnn_60.py, whose network sees 30x30 pixels (411,914
# parameters).
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='DepthProjection',
        backbone=dict(type='MNISTCNN', in_size=60, downsample=2, channels=(64, 128)),
    ),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=4 * 128,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
