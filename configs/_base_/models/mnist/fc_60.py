# For TC: pooled to 30x30 (400,474 parameters).
_base_ = './fc_28.py'
model = dict(
    backbone=dict(in_size=60, downsample=2, channels=(324, 324)), head=dict(in_channels=324)
)
