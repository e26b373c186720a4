# What the paper has from ImageNet: weights that know the sight of things, near and far. Random
# crops of the training images, of a tenth of their area at least, so that single feathers are seen.
_base_ = [
    '../_base_/datasets/birds_48.py',
    '../_base_/models/cub/small.py',
    '../_base_/schedules/birds_bs32_2k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='SeedBySample'),
            dict(type='LoadImageFromFile'),
            dict(
                type='RandomResizedCrop',
                scale=48,
                crop_ratio_range=(0.1, 0.5),
                backend='pillow',
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs'),
        ]
    )
)
