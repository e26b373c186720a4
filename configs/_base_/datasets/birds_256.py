# Drawn birds in the layout of CUB, at a size that a CPU can train on:
#   tools/dataset_converters/make_cub_like.py data/birds --species 16 --train 60 --test 20
#     --size 288 --detail 0.03
# The pattern of the feathers has a period of 4.3 px at the short side of 144 px.
_base_ = './cub_448.py'

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = (100000, 144)
train_pipeline[2].crop_size = 128
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (100000, 144)
test_pipeline[2].crop_size = 128

train_dataloader = dict(
    num_workers=2, dataset=dict(data_root='data/birds', pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root='data/birds', pipeline=test_pipeline))
test_dataloader = val_dataloader
