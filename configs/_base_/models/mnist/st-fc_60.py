# For TC: pooled to 30x30 after the transformer (398,560 parameters).
_base_ = './st-fc_28.py'
model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=60)),
        backbone=dict(in_size=60, downsample=2, channels=(244, 244)),
    ),
    head=dict(in_channels=244),
)
