# As cnn-small_128px.py.
_base_ = './st-cnn-single_128px.py'

model = dict(
    backbone=dict(
        # Half the channels on a map averaged down by 2: the whole net is small, so is this one.
        transformer=dict(loc_net=dict(downsample=2, channels=(16, 16))),
        backbone=dict(width=0.25, dropout=0.1),
    ),
    head=dict(in_channels=768),
)
