_base_ = './cnn_64px.py'

model = dict(backbone=dict(in_size=128))
