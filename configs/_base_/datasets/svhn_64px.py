# SVHN's full numbers in data/svhn: python tools/data/download_svhn.py. The box around
# all digits is enlarged by 30 % and scaled to 64 x 64; for training it is moved at random.

# Mid-grey is 0, which is also what a spatial transformer sees outside the image.
data_preprocessor = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)

# 30 % in total. Other accounts of the paper read it as 30 % at each side: that is 0.6.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCropNumber', enlarge=0.3),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropNumber', enlarge=0.3),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackInputs'),
]

# 5,000 of the 235,755 images of train and extra are held out, as in the paper.
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='SVHN',
        data_root='data/svhn',
        split='train+extra',
        val_folders=('train', 'extra'),
        num_val=5000,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SVHN',
        data_root='data/svhn',
        split='val',
        val_folders=('train', 'extra'),
        num_val=5000,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SVHN', data_root='data/svhn', split='test', pipeline=test_pipeline),
)

# The paper's error is sequence/error.
val_evaluator = dict(type='SequenceAccuracy')
test_evaluator = val_evaluator
