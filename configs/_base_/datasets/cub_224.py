# cub_448.py at half the size: a random 224 px crop of an image whose short side is 256 px.
_base_ = './cub_448.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (100000, 256)
train_pipeline[3].crop_size = 224
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (100000, 256)
test_pipeline[2].crop_size = 224

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
