_base_ = [
    '../_base_/models/mnist/cnn_60.py',
    '../_base_/datasets/mnist_tc.py',
    '../_base_/schedules/mnist_bs256_150k.py',
    '../_base_/default_runtime.py',
]
