# The paper's MNIST addition (appendix A.1): two digits, each distorted as in mnist_rts.py in a
# channel of its own; 19 classes, the sums.
_base_ = './mnist_rts.py'

data_preprocessor = dict(num_classes=19)

# The digits are distorted before they meet, so packing comes last.
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageDataset',
        dataset=dict(
            type='MNIST',
            data_root='data/mnist',
            split='train',
            pipeline=_base_.train_pipeline[:1],
        ),
        pipeline=[dict(type='RandomAddend'), dict(type='PackInputs')],
    )
)
# A seed chooses the other digit of each image once and for all.
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageDataset',
        dataset=dict(
            type='MNIST',
            data_root='data/mnist',
            split='test',
            test_mode=True,
            pipeline=_base_.test_pipeline[:1],
        ),
        pipeline=[dict(type='RandomAddend', seed=1), dict(type='PackInputs')],
    )
)
test_dataloader = val_dataloader
