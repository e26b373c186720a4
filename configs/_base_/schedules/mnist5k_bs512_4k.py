# For MNIST addition on the 5,000 embedded digits. A sum tells little about either digit, so this
# takes two million pairs where other experiments are content with 128,000 images.
_base_ = './mnist5k_bs64_2k.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.005),
    # Not faster than the rest, and after a warm-up: both STs must keep their digits in sight until
    # the net after them has begun to tell digits apart.
    paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=0.6)}),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.001, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=500, end=4000, T_max=3500),
]

train_cfg = dict(max_iters=4000, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=1000))

auto_scale_lr = dict(base_batch_size=512)
