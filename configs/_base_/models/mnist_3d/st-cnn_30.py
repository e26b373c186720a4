# st-cnn_60.py for volumes of half the size, with an output of the same size as before.
_base_ = './st-cnn_60.py'
model = dict(backbone=dict(transformer=dict(loc_net=dict(in_size=30, downsample=2))))
