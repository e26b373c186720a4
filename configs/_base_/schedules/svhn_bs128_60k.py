# What one would take today: momentum and a cosine, a seventh of the paper's iterations.
_base_ = './svhn_bs128_400k.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.05, momentum=0.9, nesterov=True), clip_grad=dict(max_norm=5)
)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', by_epoch=False, T_max=60000)

train_cfg = dict(max_iters=60000)
