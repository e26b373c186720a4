_base_ = [
    '../_base_/models/mnist_coloc.py',
    '../_base_/datasets/mnist5k_coloc_t.py',
    '../_base_/schedules/mnist_coloc_400.py',
    '../_base_/default_runtime.py',
]
