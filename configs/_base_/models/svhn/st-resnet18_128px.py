# The transformers of st-resnet18_64px.py on resnet18_128px.py.
_base_ = './st-resnet18_64px.py'

model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_size=128)),
        backbone=dict(type='ResNet'),
    )
)
