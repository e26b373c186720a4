# fc.py after one ST, which sees both channels and moves both alike (399,649 parameters; projective
# 399,715, TPS 400,507).
_base_ = '../mnist/st-fc_42.py'
model = dict(
    backbone=dict(
        transformer=dict(loc_net=dict(in_channels=2)),
        backbone=dict(in_channels=2, channels=(248, 248)),
    ),
    head=dict(num_classes=19, in_channels=248),
)
