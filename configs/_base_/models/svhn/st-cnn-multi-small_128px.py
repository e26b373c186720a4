# As st-cnn-multi-small_64px.py.
_base_ = './st-cnn-multi-small_64px.py'

model = dict(
    backbone=dict(
        insert=dict(
            conv1=dict(loc_net=dict(in_size=128, downsample=8)),
            conv2=dict(loc_net=dict(in_size=64, downsample=4)),
            conv3=dict(loc_net=dict(in_size=64, downsample=4)),
            conv4=dict(loc_net=dict(in_size=32, downsample=2)),
        ),
        backbone=dict(in_size=128),
    )
)
