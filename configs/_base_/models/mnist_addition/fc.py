# Fully connected on two channels of 42x42, pooled to 21x21 as for RTS. Like those of the paper's
# table, all models of this experiment hold about 400,000 parameters (399,119 here).
_base_ = '../mnist/fc_42.py'
model = dict(
    backbone=dict(in_channels=2, channels=(325, 325)), head=dict(num_classes=19, in_channels=325)
)
