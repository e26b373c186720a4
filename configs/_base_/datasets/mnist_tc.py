# The paper's TC: at a random place among clutter. The clutter's numbers are from a second-hand
# account of its appendix.
_base_ = './mnist.py'

train_pipeline = [
    dict(type='RandomTranslation', out_size=(60, 60)),
    dict(type='RandomClutter', num_patches=6, patch_size=6),
    dict(type='PackInputs'),
]
# A seed distorts each digit once and for all.
test_pipeline = [
    dict(type='RandomTranslation', out_size=(60, 60), seed=0),
    dict(type='RandomClutter', num_patches=6, patch_size=6, seed=1),
    dict(type='PackInputs'),
]

# Clutter is cut out of other digits, so the transforms must see the dataset.
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageDataset',
        dataset=_base_.train_dataloader.dataset,
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageDataset',
        dataset=_base_.val_dataloader.dataset,
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
