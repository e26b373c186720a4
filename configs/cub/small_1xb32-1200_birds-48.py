_base_ = [
    '../_base_/datasets/birds_48.py',
    '../_base_/models/cub/small.py',
    '../_base_/schedules/birds_bs32_1200.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint=_base_.checkpoint, prefix='backbone.')
    )
)
