# Section 4.3 of the paper: 2x ST-CNN 448 px, 83.9 %.
_base_ = [
    '../_base_/datasets/cub_448.py',
    '../_base_/models/cub/2x-st-inception-v2.py',
    '../_base_/schedules/cub_bs256_30k.py',
    '../_base_/default_runtime.py',
]
