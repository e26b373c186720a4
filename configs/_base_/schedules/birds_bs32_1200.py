# Slowly at first, until the new classifier has something to tell the localisation net. That net
# keeps what it has learnt before (a tenth of the rate); its last layer, which is new, is quick.
_base_ = './birds_bs32_2k.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.001),
    paramwise_cfg=dict(
        custom_keys={'loc_net': dict(lr_mult=0.1), 'loc_net.regression': dict(lr_mult=3)}
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=100, end=1200, T_max=1100, by_epoch=False),
]
train_cfg = dict(max_iters=1200, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
