_base_ = [
    '../_base_/models/mnist/cnn_60.py',
    '../_base_/datasets/mnist5k_tc.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]
