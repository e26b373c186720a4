_base_ = './st-cnn-affine_1xb64-2k_mnist5k-e.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='TPSGridGenerator'))))
