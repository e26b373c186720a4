# A small ResNet for 64 px, trained from scratch.
data_preprocessor = dict(mean=[127.5] * 3, std=[64] * 3, to_rgb=True)

model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=16, in_channels=128),
)

val_evaluator = [dict(type='Accuracy', topk=(1,))]
test_evaluator = val_evaluator
