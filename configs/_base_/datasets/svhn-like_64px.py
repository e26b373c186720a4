# The small set in SVHN's format: python tools/dataset_converters/make_svhn_like.py. 500 of its
# 6,000 training images are held out.
_base_ = './svhn_64px.py'

held_out = dict(data_root='data/svhn_like', val_folders=('train',), num_val=500)
train_dataloader = dict(batch_size=64, num_workers=2, dataset=dict(split='train', **held_out))
val_dataloader = dict(num_workers=1, dataset=held_out)
test_dataloader = dict(num_workers=1, dataset=dict(data_root='data/svhn_like'))
