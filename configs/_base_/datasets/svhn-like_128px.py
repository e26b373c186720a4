# As svhn-like_64px.py, with the looser crop of svhn_128px.py.
_base_ = './svhn-like_64px.py'

train_pipeline = _base_.train_pipeline
train_pipeline[1].enlarge = 1.6
train_pipeline[2].scale = (128, 128)
test_pipeline = _base_.test_pipeline
test_pipeline[1].enlarge = 1.6
test_pipeline[2].scale = (128, 128)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
