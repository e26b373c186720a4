# The paper's RTS: rotated, scaled and put at a random place.
_base_ = './mnist.py'

train_pipeline = [
    dict(type='RandomSimilarity', angle=45, scale=(0.7, 1.2), out_size=(42, 42)),
    dict(type='PackInputs'),
]
# A seed distorts each digit once and for all.
test_pipeline = [
    dict(type='RandomSimilarity', angle=45, scale=(0.7, 1.2), out_size=(42, 42), seed=0),
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
