_base_ = [
    '../_base_/models/svhn/st-cnn-single-small_128px.py',
    '../_base_/datasets/svhn-like_128px.py',
    '../_base_/schedules/svhn-like_bs64_2k.py',
    '../_base_/number_runtime.py',
]
