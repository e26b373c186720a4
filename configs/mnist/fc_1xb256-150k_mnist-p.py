_base_ = [
    '../_base_/models/mnist/fc_28.py',
    '../_base_/datasets/mnist_p.py',
    '../_base_/schedules/mnist_bs256_150k.py',
    '../_base_/default_runtime.py',
]
