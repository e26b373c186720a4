# Long enough for windows that find something to be read, too.
_base_ = './birds_bs32_1200.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=100, end=3600, T_max=3500, by_epoch=False),
]
train_cfg = dict(max_iters=3600, val_interval=600)
default_hooks = dict(checkpoint=dict(interval=600))
