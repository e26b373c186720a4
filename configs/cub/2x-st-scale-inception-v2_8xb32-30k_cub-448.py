# The windows' size is learnt as well: location and scale.
_base_ = './2x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(
    backbone=dict(transformer=dict(grid_generator=dict(type='AttentionGridGenerator', scale=None)))
)
