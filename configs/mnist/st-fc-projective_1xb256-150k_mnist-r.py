_base_ = './st-fc-affine_1xb256-150k_mnist-r.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='ProjectiveGridGenerator'))))
