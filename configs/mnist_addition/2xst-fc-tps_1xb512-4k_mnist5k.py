_base_ = './2xst-fc-affine_1xb512-4k_mnist5k.py'
model = dict(backbone=dict(insert=dict(layers=dict(grid_generator=dict(type='TPSGridGenerator')))))
# A third of the others' rate, at which the control points of one ST left the image for good.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=0.2)}))
