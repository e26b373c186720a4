_base_ = './st-fc-affine_1xb256-150k_mnist-rts.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='TPSGridGenerator'))))
