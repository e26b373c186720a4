# The whole image with as many pixels to a bird as a window of the STs has: four times the work.
_base_ = './small_1xb32-1200_birds-48.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (100000, 108)
train_pipeline[3].crop_size = 96
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (100000, 108)
test_pipeline[2].crop_size = 96

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
