_base_ = './st-fc-affine_1xb64-2k_mnist5k-rts.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='TPSGridGenerator'))))
