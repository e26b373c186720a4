# For TC: pooled to 30x30 (411,914 parameters).
_base_ = './cnn_28.py'
model = dict(backbone=dict(in_size=60, downsample=2))
