# mnist/cnn_42.py on two channels (405,259 parameters).
_base_ = '../mnist/cnn_42.py'
model = dict(backbone=dict(in_channels=2, channels_last=True), head=dict(num_classes=19))
