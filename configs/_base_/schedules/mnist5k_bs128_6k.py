# Twice mnist5k_bs128_3k.py.
_base_ = './mnist5k_bs128_3k.py'

param_scheduler = dict(T_max=6000)
train_cfg = dict(max_iters=6000)
