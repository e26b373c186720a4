_base_ = './st-fc-affine_1xb64-2k_mnist5k-p.py'
model = dict(backbone=dict(transformer=dict(grid_generator=dict(type='ProjectiveGridGenerator'))))
