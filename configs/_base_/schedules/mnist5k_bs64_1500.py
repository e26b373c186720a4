# The demo's schedule, which leaves room on slower machines.
_base_ = './mnist5k_bs64_2k.py'

# Its small networks take a larger rate than those of the table.
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = dict(T_max=1500)
train_cfg = dict(max_iters=1500)
