# birds_192.py at a quarter of the size, where a period of the feathers' pattern is shorter than the
# two pixels that can show it.
_base_ = './birds_192.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (100000, 54)
train_pipeline[3].crop_size = 48
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (100000, 54)
test_pipeline[2].crop_size = 48

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
