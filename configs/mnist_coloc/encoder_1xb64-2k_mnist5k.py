# The CNN whose activations describe crops: ten classes, digits as they are. Its weights are frozen
# in the co-localisation.
_base_ = [
    '../_base_/models/mnist/cnn_28.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]

# The paper's CNNs have 32 to 64 filters a layer; this is the small end.
model = dict(
    backbone=dict(channels=(32, 64)),
    head=dict(in_channels=4 * 64),
)

pipeline = [dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(_delete_=True, type='MNIST5k', split='train', pipeline=pipeline),
)
val_dataloader = dict(dataset=dict(_delete_=True, type='MNIST5k', split='test', pipeline=pipeline))
test_dataloader = val_dataloader
