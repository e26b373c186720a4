# The 5,000 embedded digits, distorted as in mnist_p.py.
_base_ = './mnist_p.py'

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(_delete_=True, type='MNIST5k', split='train', pipeline=_base_.train_pipeline),
)
val_dataloader = dict(
    dataset=dict(_delete_=True, type='MNIST5k', split='test', pipeline=_base_.test_pipeline)
)
test_dataloader = val_dataloader
