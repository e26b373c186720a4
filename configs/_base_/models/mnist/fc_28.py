# The paper's fully connected net at about 400,000 parameters (398,122).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='MNISTFC', in_size=28, channels=(348, 348)),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=348,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
