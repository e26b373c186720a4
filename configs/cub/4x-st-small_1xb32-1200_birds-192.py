_base_ = './2x-st-small_1xb32-1200_birds-192.py'

model = dict(
    backbone=dict(transformer=dict(num_transformers=4)),
    head=dict(in_channels=4 * 64),
)
