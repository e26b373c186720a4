# What mmpretrain trains its own models for CUB with (resnet50_8xb8_cub.py): 100 epochs of a cosine
# at 64 images. The localisation net learns at the paper's own rate, 1e-5 = 1e-3 x 0.01.
_base_ = 'mmpretrain::_base_/schedules/cub_bs64.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=1e-3)}))

default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=20),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='accuracy/top1'),
)
