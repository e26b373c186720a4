_base_ = [
    '../_base_/models/mnist/st-fc_28.py',
    '../_base_/datasets/mnist5k_r.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]
