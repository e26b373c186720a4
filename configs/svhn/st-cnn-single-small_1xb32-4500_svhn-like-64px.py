_base_ = [
    '../_base_/models/svhn/st-cnn-single-small_64px.py',
    '../_base_/datasets/svhn-like_64px.py',
    '../_base_/schedules/svhn-like_bs32_4500.py',
    '../_base_/number_runtime.py',
]
