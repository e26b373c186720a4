# The same with less memory: of each block of the streams only the input is kept.
_base_ = './4x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(
    backbone=dict(
        backbone=dict(with_cp=True),
        transformer=dict(loc_net=dict(backbone=dict(with_cp=True))),
    )
)
