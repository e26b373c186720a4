# The paper's CNN. All models of its table hold about 400,000 parameters, with and without a
# transformer; the channels in these files follow from that (411,914 parameters here).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='MNISTCNN', in_size=28, channels=(64, 128), kernel_sizes=(9, 7)),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=4 * 128,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
