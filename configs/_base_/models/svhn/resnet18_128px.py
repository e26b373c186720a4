# ResNet-18 with its usual stem (7x7 with stride 2, pooling).
_base_ = './resnet18_64px.py'

model = dict(backbone=dict(type='ResNet'))
