# Section 4.3 of the paper: 2x ST-CNN 224 px, 83.1 %. The windows are enlarged to 224 px.
_base_ = [
    '../_base_/datasets/cub_224.py',
    '../_base_/models/cub/2x-st-inception-v2.py',
    '../_base_/schedules/cub_bs256_30k.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(transformer=dict(loc_net=dict(in_size=224, downsample=1))))
