# Twice mnist5k_bs64_2k.py.
_base_ = './mnist5k_bs64_2k.py'

param_scheduler = dict(T_max=4000)
train_cfg = dict(max_iters=4000)
