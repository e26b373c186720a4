# The paper's baseline: Inception-v2 with its public ImageNet weights, which
# tools/model_converters/caffe_to_inception_v2.py turns into `checkpoint`, dropout 0.7 (read as the
# share that is dropped) and 200 classes.
checkpoint = 'checkpoints/inception_v2.pth'
data_preprocessor = dict(mean=[104, 117, 128], std=[1, 1, 1], to_rgb=False, num_classes=200)

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='InceptionV2',
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='DropoutLinearClsHead', num_classes=200, in_channels=1024, dropout=0.7),
)

val_evaluator = [dict(type='Accuracy', topk=(1, 5))]
test_evaluator = val_evaluator
