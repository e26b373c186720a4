# As st-cnn-single-small_64px.py.
_base_ = './st-cnn-single-small_64px.py'

model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=128, downsample=4)), backbone=dict(in_size=128)
    )
)
