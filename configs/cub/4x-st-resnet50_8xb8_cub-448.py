_base_ = './2x-st-resnet50_8xb8_cub-448.py'

model = dict(
    backbone=dict(transformer=dict(num_transformers=4)),
    head=dict(in_channels=4 * 2048),
)
