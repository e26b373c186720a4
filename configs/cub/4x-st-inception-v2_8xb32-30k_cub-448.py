# Section 4.3 of the paper: 4x ST-CNN 448 px, 84.1 %.
_base_ = './2x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(
    backbone=dict(transformer=dict(num_transformers=4)),
    head=dict(in_channels=4 * 1024),
)
