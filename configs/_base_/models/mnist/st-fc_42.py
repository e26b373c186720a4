# For RTS: pooled to 21x21 after the transformer (398,944 parameters; projective 399,010, TPS
# 399,802).
_base_ = './st-fc_28.py'
model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=42)),
        backbone=dict(in_size=42, downsample=2, channels=(400, 400)),
    ),
    head=dict(in_channels=400),
)
