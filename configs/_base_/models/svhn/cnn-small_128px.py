# As cnn-small_64px.py.
_base_ = './cnn-small_64px.py'

model = dict(backbone=dict(in_size=128))
