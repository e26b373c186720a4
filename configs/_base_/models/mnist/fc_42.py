# For RTS: pooled to 21x21 (398,278 parameters).
_base_ = './fc_28.py'
model = dict(
    backbone=dict(in_size=42, downsample=2, channels=(444, 444)), head=dict(in_channels=444)
)
