_base_ = [
    '../_base_/datasets/cub_448.py',
    '../_base_/models/cub/2x-st-inception-v3.py',
    '../_base_/schedules/cub_bs64_cosine.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    batch_size=8, sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True)
)
