_base_ = [
    '../_base_/models/mnist/st-cnn_28.py',
    '../_base_/datasets/mnist5k_e.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]

# Not in the paper, whose 150,000 iterations do without: its localisation net learns faster.
model = dict(backbone=dict(transformer=dict(loc_net=dict(norm_cfg=dict(type='BN')))))
