# The 5,000 embedded digits, distorted and paired as in mnist_addition.py.
_base_ = './mnist_addition.py'

train_dataloader = dict(
    batch_size=512,
    num_workers=2,
    dataset=dict(
        dataset=dict(
            _delete_=True, type='MNIST5k', split='train', pipeline=_base_.train_pipeline[:1]
        )
    ),
)
val_dataloader = dict(
    dataset=dict(
        dataset=dict(_delete_=True, type='MNIST5k', split='test', pipeline=_base_.test_pipeline[:1])
    )
)
test_dataloader = val_dataloader
