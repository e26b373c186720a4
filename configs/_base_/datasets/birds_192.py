# Drawn birds in the layout of CUB, at a size that a CPU can train on:
#   python tools/data/make_cub_like.py data/birds --species 16 --train 160 --test 40
#     --size 288 --detail 0.025
# A period of the feathers' pattern is 5.4 px long at a short side of 216 px.
_base_ = './cub_448.py'

resize = dict(scale=(100000, 216), backend='pillow')  # cv2's does not filter
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(resize)
train_pipeline[3].crop_size = 192
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(resize)
test_pipeline[2].crop_size = 192

train_dataloader = dict(
    num_workers=1, dataset=dict(data_root='data/birds', pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root='data/birds', pipeline=test_pipeline))
test_dataloader = val_dataloader
