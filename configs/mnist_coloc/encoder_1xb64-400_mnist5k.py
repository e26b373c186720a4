# The CNN whose activations describe crops: ten classes, digits as they are. Its weights are frozen
# in the co-localisation.
_base_ = [
    '../_base_/models/mnist/cnn_28.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]

# Smaller than the paper's CNNs (32 to 64 filters) and trained for minutes less: the activations of
# a larger one that had seen more iterations led to fewer digits, see this folder's README.
model = dict(
    backbone=dict(channels=(16, 32)),
    head=dict(in_channels=4 * 32),
)
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = dict(T_max=400)
train_cfg = dict(max_iters=400, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=400))

pipeline = [dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(_delete_=True, type='MNIST5k', split='train', pipeline=pipeline),
)
val_dataloader = dict(dataset=dict(_delete_=True, type='MNIST5k', split='test', pipeline=pipeline))
test_dataloader = val_dataloader
