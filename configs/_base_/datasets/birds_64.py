# birds_128.py at half the size, where the pattern of feathers is at the limit of what pixels show.
_base_ = './birds_128.py'

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = (100000, 72)
train_pipeline[2].crop_size = 64
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (100000, 72)
test_pipeline[2].crop_size = 64

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
