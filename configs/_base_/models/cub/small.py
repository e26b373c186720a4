# A small ResNet for 48 px.
data_preprocessor = dict(mean=[127.5] * 3, std=[64] * 3, to_rgb=True)

# What small_1xb32-2k_birds-crops.py has learnt; tools/train.py leaves it here.
checkpoint = 'work_dirs/small_1xb32-2k_birds-crops/iter_2000.pth'

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet_CIFAR',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=3,
        strides=(2, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=16, in_channels=64),
)

val_evaluator = [dict(type='Accuracy', topk=(1,))]
test_evaluator = val_evaluator
