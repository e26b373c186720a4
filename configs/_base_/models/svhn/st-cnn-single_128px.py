_base_ = './st-cnn-single_64px.py'

model = dict(backbone=dict(transformer=dict(loc_net=dict(in_size=128)), backbone=dict(in_size=128)))
