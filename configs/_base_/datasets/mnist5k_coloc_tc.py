# mnist5k_coloc_t.py with clutter, the paper's TC: 16 crops of 6x6 pixels of any digits.
_base_ = './mnist5k_coloc_t.py'

pipeline = [
    dict(type='RandomPlacement', out_size=(84, 84), seed=0),
    dict(type='RandomClutter', num_patches=16, patch_size=6, seed=1),
    dict(type='PackInputs', algorithm_keys=('gt_box',)),
]

train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
