# ResNet-18 with the stem for small images (3x3, no pooling).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18, num_stages=4, out_indices=(3,), style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='NumberHead',
        num_places=5,
        num_classes=11,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss'),
        cal_acc=True,
    ),
)
