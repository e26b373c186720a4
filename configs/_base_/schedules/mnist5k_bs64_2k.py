# A short schedule for the 5,000 embedded digits: minutes on two CPU cores.
_base_ = './mnist_bs256_150k.py'

optim_wrapper = dict(
    # SGD is too slow for a localisation net in so few steps.
    optimizer=dict(_delete_=True, type='Adam', lr=0.001),
    # The transformer has to be found before the classifier has learnt to do without it.
    paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=3.0)}),
    # At this rate one bad batch could throw the localisation net out of the image for good.
    clip_grad=dict(max_norm=5),
)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', by_epoch=False, T_max=2000)

train_cfg = dict(max_iters=2000, val_interval=250)
default_hooks = dict(checkpoint=dict(interval=500))

auto_scale_lr = dict(base_batch_size=64)
