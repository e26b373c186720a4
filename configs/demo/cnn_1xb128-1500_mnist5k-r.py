# The demo's plain CNN: 105,610 parameters.
_base_ = [
    '../_base_/models/mnist/cnn_28.py',
    '../_base_/datasets/mnist5k_r.py',
    '../_base_/schedules/mnist5k_bs128_1500.py',
    '../_base_/default_runtime.py',
]

# Half the channels of the paper's table train fast enough for a laptop.
model = dict(backbone=dict(channels=(32, 64)), head=dict(in_channels=4 * 64))
