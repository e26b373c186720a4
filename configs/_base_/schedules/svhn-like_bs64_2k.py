# A short schedule for the small set on a CPU.
_base_ = './svhn_bs128_400k.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.02, momentum=0.9),
    # At this rate one bad batch could throw a localisation net out of the image for good.
    clip_grad=dict(max_norm=5),
)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', by_epoch=False, T_max=2000)

train_cfg = dict(max_iters=2000, val_interval=500)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=500))

auto_scale_lr = dict(base_batch_size=64)
