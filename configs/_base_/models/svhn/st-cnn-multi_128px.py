_base_ = './st-cnn-multi_64px.py'

model = dict(
    backbone=dict(
        insert=dict(
            conv1=dict(loc_net=dict(in_size=128)),
            conv2=dict(loc_net=dict(in_size=64)),
            conv3=dict(loc_net=dict(in_size=64)),
            conv4=dict(loc_net=dict(in_size=32)),
        ),
        backbone=dict(in_size=128),
    )
)
