# The paper does not tell the schedule of its co-localisation.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3),
    clip_grad=dict(max_norm=5),
)
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=False, T_max=2000)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=100)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=500, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)
