# The paper's (section 4.3 and its appendix): 30k iterations of 256 images, rate 0.1, a tenth of it
# after 10k, 20k and 25k, the localisation net at 1e-4 of it. No word of a momentum: 0.9 here.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=1e-4)}),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=False, milestones=[10000, 20000, 25000], gamma=0.1
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=30000, val_interval=1000)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=1000,
        max_keep_ckpts=1,
        save_best='accuracy/top1',
    ),
)
log_processor = dict(by_epoch=False)

auto_scale_lr = dict(base_batch_size=256)
