# The paper's E: bent elastically. The scale is from a second-hand account of its appendix.
_base_ = './mnist.py'

train_pipeline = [
    dict(type='RandomTPS', scale=(0.75, 1.0), std=1.5, num_control_points=(4, 4)),
    dict(type='PackInputs'),
]
# A seed distorts each digit once and for all.
test_pipeline = [
    dict(type='RandomTPS', scale=(0.75, 1.0), std=1.5, num_control_points=(4, 4), seed=0),
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
