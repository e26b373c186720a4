_base_ = [
    '../_base_/models/svhn/resnet18_128px.py',
    '../_base_/datasets/svhn_128px.py',
    '../_base_/schedules/svhn_bs128_60k.py',
    '../_base_/number_runtime.py',
]
