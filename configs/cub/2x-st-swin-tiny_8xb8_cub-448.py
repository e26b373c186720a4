_base_ = [
    '../_base_/datasets/cub_448.py',
    '../_base_/models/cub/2x-st-swin-tiny.py',
    '../_base_/schedules/cub_bs64_cosine.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    batch_size=8, sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True)
)

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-5, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'loc_net': dict(lr_mult=0.1),
            '.relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
    clip_grad=dict(max_norm=5.0),
)
