_base_ = './st-resnet18_64px.py'

model = dict(
    backbone=dict(insert=dict(layer2=dict(loc_net=dict(in_channels=256))), backbone=dict(depth=50)),
    head=dict(in_channels=2048),
)
