# A quarter as wide, for CPUs; so narrow a network needs its units, so it drops fewer.
_base_ = './cnn_64px.py'

model = dict(backbone=dict(width=0.25, dropout=0.1), head=dict(in_channels=768))
