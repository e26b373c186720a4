_base_ = './birds_bs32_1k.py'

optim_wrapper = dict(optimizer=dict(lr=0.001))
param_scheduler = dict(T_max=600)
train_cfg = dict(max_iters=600, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200))
