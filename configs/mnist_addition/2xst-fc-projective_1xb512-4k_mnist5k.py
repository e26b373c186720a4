_base_ = './2xst-fc-affine_1xb512-4k_mnist5k.py'
model = dict(
    backbone=dict(insert=dict(layers=dict(grid_generator=dict(type='ProjectiveGridGenerator'))))
)
