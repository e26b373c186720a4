_base_ = [
    '../_base_/models/svhn/st-cnn-single_128px.py',
    '../_base_/datasets/svhn_128px.py',
    '../_base_/schedules/svhn_bs128_400k.py',
    '../_base_/number_runtime.py',
]
