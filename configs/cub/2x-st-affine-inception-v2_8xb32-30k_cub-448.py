# Full affine windows, which start as the left and the right half of the image.
_base_ = './2x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(
    backbone=dict(transformer=dict(grid_generator=dict(_delete_=True, type='AffineGridGenerator')))
)
