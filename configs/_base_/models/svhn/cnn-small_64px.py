# An eighth as wide, for CPUs and short schedules: normalised, which makes it quick to learn, and
# without dropout, as so narrow a network needs its units. The paper has it the other way round.
_base_ = './cnn_64px.py'

model = dict(
    backbone=dict(
        width=0.125,
        dropout=0,
        norm_cfg=dict(type='BN'),
        fc_norm_cfg=dict(type='BN1d'),
        channels_last=True,
    ),
    head=dict(in_channels=384),
)
