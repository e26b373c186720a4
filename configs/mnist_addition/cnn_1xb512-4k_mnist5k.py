_base_ = [
    '../_base_/models/mnist_addition/cnn.py',
    '../_base_/datasets/mnist5k_addition.py',
    '../_base_/schedules/mnist5k_bs512_4k.py',
    '../_base_/default_runtime.py',
]
