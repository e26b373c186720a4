# The paper does not tell the schedule of its co-localisation.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=3e-3),
    # The bias of theta moves all windows together: quick, it would take them out of the image,
    # where all crops are alike. What tells images apart has to be learnt first.
    paramwise_cfg=dict(custom_keys={'regression.bias': dict(lr_mult=0.03)}),
    clip_grad=dict(max_norm=5),
)
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=False, T_max=400)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=400, val_interval=50)
val_cfg = dict()
test_cfg = dict()

custom_hooks = [
    # From windows three times as large as the image, which show the digit wherever they are, to
    # those of a digit's size; from then on theta's scale is learnt too. Not in the paper.
    dict(type='ScaleAnnealingHook', num_iters=240, start=3.0, end=1 / 3),
    # The windows at every validation: pictures in vis_data/vis_image of the work folder.
    dict(type='STNVisualizationHook', num_samples=8),
]
default_hooks = dict(
    non_finite=dict(type='NonFiniteHook'),
    logger=dict(type='LoggerHook', interval=50),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=400, max_keep_ckpts=1),
)
log_processor = dict(by_epoch=False)
