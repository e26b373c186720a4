_base_ = [
    '../_base_/models/mnist_addition/fc.py',
    '../_base_/datasets/mnist_addition.py',
    '../_base_/schedules/mnist_bs256_150k.py',
    '../_base_/default_runtime.py',
]
