# The paper's (section 4.2): x0.1 every 80k iterations; it has no word of a momentum. Localisation
# nets learn at a tenth of the rate (a second-hand account of the appendix).
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=0.1)}),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=False, milestones=[80000, 160000, 240000, 320000], gamma=0.1
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=400000, val_interval=5000)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=100),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=5000,
        max_keep_ckpts=1,
        save_best='sequence/accuracy',
        rule='greater',
    ),
    # Switched on by tools/test.py --show-dir; nobody could read what is written on 64 pixels.
    visualization=dict(type='VisualizationHook', enable=False, resize=256),
)
log_processor = dict(by_epoch=False)

auto_scale_lr = dict(base_batch_size=128)
