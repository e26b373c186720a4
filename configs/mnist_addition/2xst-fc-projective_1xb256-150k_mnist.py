_base_ = './2xst-fc-affine_1xb256-150k_mnist.py'
model = dict(
    backbone=dict(insert=dict(layers=dict(grid_generator=dict(type='ProjectiveGridGenerator'))))
)
