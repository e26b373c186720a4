optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.01),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = dict(type='CosineAnnealingLR', T_max=2000, by_epoch=False)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=500)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=500, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)
