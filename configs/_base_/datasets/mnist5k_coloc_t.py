# 100 digits of one class at random places in 84x84: the paper's T (appendix A.2). The images are
# made once and for all. The metric alone knows the boxes.
pipeline = [
    dict(type='RandomPlacement', out_size=(84, 84), seed=0),
    dict(type='PackInputs', algorithm_keys=('gt_box',)),
]

# Each image of a batch forms a pair with each other.
train_dataloader = dict(
    batch_size=50,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ImagesAmongOthers',
        dataset=dict(type='MNIST5kOneClass', split='train', label=0, num_images=100),
        others=dict(type='MNIST5k', split='train'),
        pipeline=pipeline,
    ),
)
# What was found in these very images is what counts: nothing is told apart from them.
val_dataloader = dict(
    batch_size=100,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=train_dataloader['dataset'],
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CorLoc', iou_threshold=0.5)
test_evaluator = val_evaluator
