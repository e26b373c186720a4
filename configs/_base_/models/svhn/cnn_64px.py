# The paper's CNN with 11 hidden layers (section 4.2), 32,820,951 parameters in all.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='SVHNCNN', in_size=64, width=1, dropout=0.5),
    head=dict(
        type='NumberHead',
        num_places=5,
        num_classes=11,
        in_channels=3072,
        loss=dict(type='CrossEntropyLoss'),
        cal_acc=True,
    ),
)
