# MNIST, downloaded to data/mnist on first use, without a pipeline: mnist_r.py and its like add it.

# Black stays 0, which is also what a spatial transformer sees outside the image.
data_preprocessor = dict(num_classes=10, mean=[0], std=[255])

train_dataloader = dict(
    batch_size=256,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='MNIST', data_root='data/mnist', split='train'),
)

val_dataloader = dict(
    batch_size=256,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    # mmpretrain's MNIST takes the files of the test set for test_mode=True, whatever the split.
    dataset=dict(type='MNIST', data_root='data/mnist', split='test', test_mode=True),
)
test_dataloader = val_dataloader

# The paper's error is 100 minus this accuracy.
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
