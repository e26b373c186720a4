# The paper's R: rotated.
_base_ = './mnist.py'

train_pipeline = [dict(type='RandomRotation', angle=90), dict(type='PackInputs')]
# A seed distorts each digit once and for all.
test_pipeline = [dict(type='RandomRotation', angle=90, seed=0), dict(type='PackInputs')]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
