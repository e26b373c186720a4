# CUB-200-2011 with its boxes and parts, 448 px: the paper's random 448 px crop of an image whose
# short side is 512 px, and flips (section 4.3). One GPU of eight, as the paper's batch is 256.
train_pipeline = [
    dict(type='SeedBySample'),  # random crops and flips go on after a resume as without it
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(100000, 512), keep_ratio=True),  # the short side
    dict(type='RandomCropParts', crop_size=448),
    dict(type='RandomFlipParts', prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(100000, 512), keep_ratio=True),
    dict(type='CenterCrop', crop_size=448),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_keypoints')),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CUBParts', data_root='data/CUB_200_2011', split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CUBParts', data_root='data/CUB_200_2011', split='test', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
