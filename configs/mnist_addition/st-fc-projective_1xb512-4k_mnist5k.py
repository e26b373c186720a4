_base_ = './st-fc-affine_1xb512-4k_mnist5k.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='ProjectiveGridGenerator'))))
