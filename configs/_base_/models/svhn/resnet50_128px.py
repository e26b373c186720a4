_base_ = './resnet18_128px.py'

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
