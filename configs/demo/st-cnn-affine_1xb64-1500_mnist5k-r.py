# The demo's CNN after an affine spatial transformer: 38,456 parameters altogether.
_base_ = [
    '../_base_/models/mnist/st-cnn_28.py',
    '../_base_/datasets/mnist5k_r.py',
    '../_base_/schedules/mnist5k_bs64_1500.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        # The paper's localisation net has no normalisation; with it, few steps are enough.
        transformer=dict(loc_net=dict(norm_cfg=dict(type='BN'))),
        # What the transformer costs is taken from the second convolution.
        backbone=dict(channels=(18, 28)),
    ),
    head=dict(in_channels=4 * 28),
)

custom_hooks = [dict(type='STNVisualizationHook')]
