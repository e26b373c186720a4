_base_ = [
    '../_base_/datasets/birds_64.py',
    '../_base_/models/cub/small.py',
    '../_base_/schedules/birds_bs32_2k.py',
    '../_base_/default_runtime.py',
]
