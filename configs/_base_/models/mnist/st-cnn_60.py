# For TC: pooled to 30x30 after the transformer (405,736 parameters).
_base_ = './st-cnn_28.py'
model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=60)),
        backbone=dict(in_size=60, downsample=2, channels=(60, 120)),
    ),
    head=dict(in_channels=4 * 120),
)
