# The 5,000 embedded digits in 30x30x30: mnist_3d.py at half its size in each direction, with an
# eighth of the voxels, for a CPU.
_base_ = './mnist.py'

shrink = dict(type='Resize', scale=(14, 14), interpolation='area', backend='cv2')
volume = dict(type='RandomExtrusion', depth=14, out_size=(30, 30, 30))

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        _delete_=True,
        type='MNIST5k',
        split='train',
        pipeline=[shrink, volume, dict(type='PackInputs')],
    ),
)
# A seed places each digit once and for all.
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MNIST5k',
        split='test',
        pipeline=[shrink, dict(**volume, seed=0), dict(type='PackInputs')],
    )
)
test_dataloader = val_dataloader
