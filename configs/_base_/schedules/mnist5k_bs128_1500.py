# The demo's schedule.
_base_ = './mnist5k_bs128_3k.py'

param_scheduler = dict(T_max=1500)
train_cfg = dict(max_iters=1500, val_interval=250)
default_hooks = dict(checkpoint=dict(interval=1500))
