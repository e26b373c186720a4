# The paper's (section 4.1 and A.4): no weight decay, and no word of a momentum.
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
param_scheduler = dict(type='MultiStepLR', by_epoch=False, milestones=[50000, 100000], gamma=0.1)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=150000, val_interval=5000)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=100),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)

auto_scale_lr = dict(base_batch_size=256)
