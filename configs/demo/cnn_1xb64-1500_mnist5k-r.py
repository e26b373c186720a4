# The demo's plain CNN: 38,406 parameters.
_base_ = [
    '../_base_/models/mnist/cnn_28.py',
    '../_base_/datasets/mnist5k_r.py',
    '../_base_/schedules/mnist5k_bs64_1500.py',
    '../_base_/default_runtime.py',
]

# A tenth of the parameters of the paper's table train fast enough for a laptop.
model = dict(backbone=dict(channels=(18, 40)), head=dict(in_channels=4 * 40))
