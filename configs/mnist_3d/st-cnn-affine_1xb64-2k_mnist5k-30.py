_base_ = [
    '../_base_/models/mnist_3d/st-cnn_30.py',
    '../_base_/datasets/mnist5k_3d.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]
