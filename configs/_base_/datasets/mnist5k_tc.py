# The 5,000 embedded digits, distorted as in mnist_tc.py.
_base_ = './mnist_tc.py'

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(dataset=dict(_delete_=True, type='MNIST5k', split='train')),
)
val_dataloader = dict(dataset=dict(dataset=dict(_delete_=True, type='MNIST5k', split='test')))
test_dataloader = val_dataloader
