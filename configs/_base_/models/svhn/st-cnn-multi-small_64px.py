# As cnn-small_64px.py.
_base_ = './st-cnn-multi_64px.py'

model = dict(
    backbone=dict(
        insert=dict(
            conv2=dict(loc_net=dict(in_channels=12)),
            conv3=dict(loc_net=dict(in_channels=16)),
            conv4=dict(loc_net=dict(in_channels=32)),
        ),
        backbone=dict(width=0.25, dropout=0.1),
    ),
    head=dict(in_channels=768),
)
