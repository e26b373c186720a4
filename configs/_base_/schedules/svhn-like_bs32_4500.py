# A short schedule for the small set: minutes on a CPU.
_base_ = './svhn_bs128_400k.py'

optim_wrapper = dict(
    # SGD is too slow for a localisation net in so few steps.
    optimizer=dict(_delete_=True, type='Adam', lr=0.002),
    # Five times the paper's share, as nothing is trained yet. At three times the rate of the rest
    # windows leave it nothing steady to learn from: tried with Single at 64 px, Multi at 128 px.
    paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=0.5)}),
    # At this rate one bad batch could throw a localisation net out of the image for good.
    clip_grad=dict(max_norm=5),
)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', by_epoch=False, T_max=4500)

train_cfg = dict(max_iters=4500, val_interval=1500)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=500))

auto_scale_lr = dict(base_batch_size=32)
