# The small set in SVHN's format: python tools/data/make_svhn_like.py. 500 of its
# 6,000 training images are held out. The window is that of the real data; its contrast is
# stretched, of which the paper has no word: in a short schedule there is no time to learn to see
# faint digits of every colour.
_base_ = './svhn_64px.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCropNumber', enlarge=0.3),
    dict(type='Resize', scale=(64, 64)),
    dict(type='AutoContrast', prob=1.0),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropNumber', enlarge=0.3),
    dict(type='Resize', scale=(64, 64)),
    dict(type='AutoContrast', prob=1.0),
    dict(type='PackInputs'),
]
held_out = dict(data_root='data/svhn_like', val_folders=('train',), num_val=500)
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(split='train', pipeline=train_pipeline, **held_out),
)
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline, **held_out))
test_dataloader = dict(
    num_workers=1, dataset=dict(data_root='data/svhn_like', pipeline=test_pipeline)
)
