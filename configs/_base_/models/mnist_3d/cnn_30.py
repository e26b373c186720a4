# cnn_60.py for volumes of half the size.
_base_ = './cnn_60.py'
model = dict(backbone=dict(backbone=dict(in_size=30, downsample=1)))
