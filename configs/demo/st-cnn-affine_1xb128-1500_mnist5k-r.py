# The demo's CNN behind an affine spatial transformer: 105,433 parameters altogether.
_base_ = [
    '../_base_/models/mnist/st-cnn_28.py',
    '../_base_/datasets/mnist5k_r.py',
    '../_base_/schedules/mnist5k_bs128_1500.py',
    '../_base_/default_runtime.py',
]

# What the transformer costs is taken from the second convolution.
model = dict(
    backbone=dict(backbone=dict(channels=(32, 57))),
    head=dict(in_channels=4 * 57),
)

custom_hooks = [dict(type='STVisualizationHook')]
