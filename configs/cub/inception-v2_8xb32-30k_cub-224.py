# Section 4.3 of the paper: CNN (its own baseline), 82.3 %.
_base_ = [
    '../_base_/datasets/cub_224.py',
    '../_base_/models/cub/inception-v2.py',
    '../_base_/schedules/cub_bs256_30k.py',
    '../_base_/default_runtime.py',
]
