# For RTS, see cnn_42.py (396,184 parameters; projective 396,226, TPS 396,730).
_base_ = './st-cnn_28.py'
model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=42)),
        backbone=dict(in_size=42, downsample=2, channels=(86, 172), kernel_sizes=(5, 5)),
    ),
    head=dict(in_channels=4 * 172),
)
