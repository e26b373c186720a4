_base_ = [
    '../_base_/models/mnist_3d/st-cnn_60.py',
    '../_base_/datasets/mnist_3d.py',
    '../_base_/schedules/mnist_bs256_150k.py',
    '../_base_/default_runtime.py',
]
