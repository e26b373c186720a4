_base_ = [
    '../_base_/datasets/birds_192.py',
    '../_base_/models/cub/2x-st-small.py',
    '../_base_/schedules/birds_bs32_3600.py',
    '../_base_/default_runtime.py',
]
