# The demo's schedule.
_base_ = './mnist5k_bs128_3k.py'

param_scheduler = dict(T_max=2000)
train_cfg = dict(max_iters=2000, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=2000))
