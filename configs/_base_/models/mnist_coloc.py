# Co-localisation (appendix A.2 of the paper). The encoder is the network of
# mnist_coloc/encoder_1xb64-400_mnist5k.py; train that first.
encoder_checkpoint = 'work_dirs/encoder_1xb64-400_mnist5k/iter_400.pth'

model = dict(
    type='STNCoLocalizer',
    data_preprocessor=dict(mean=[0], std=[255]),
    transformer=dict(
        loc_net=dict(
            type='ConvLocNet',
            in_channels=1,
            in_size=84,
            downsample=1,
            channels=(8,),
            kernel_sizes=9,
            strides=4,
            pool_sizes=2,
            fc_channels=(8, 8),
            # Neither is in the paper. The second keeps windows from going astray all together.
            norm_cfg=dict(type='BN'),
            feature_norm_cfg=dict(type='BN1d', affine=False),
        ),
        grid_generator=dict(type='AttentionGridGenerator'),
        # Three times what the encoder's layers see, which averages it down: large windows shrink
        # the image, and aliasing would drown the weak slope there. (antialias=True filters more
        # exactly and takes longer.)
        out_size=(84, 84),
        # Where the annealing of the scale ends (../schedules/mnist_coloc_400.py).
        init=[1 / 3, 0, 0],
    ),
    encoder=dict(
        type='ActivationEncoder',
        classifier=dict(
            type='ImageClassifier',
            backbone=dict(
                type='MNISTCNN',
                in_size=84,
                downsample=3,
                channels=(16, 32),
                kernel_sizes=(9, 7),
            ),
            head=dict(type='LinearClsHead', num_classes=10, in_channels=4 * 32),
            init_cfg=dict(type='Pretrained', checkpoint=encoder_checkpoint),
        ),
        # Three activation layers, as in the paper, which does not say which.
        layers=('backbone.layers.3', 'backbone.layers.6', 'head.fc'),
        # Or a layer with many channels drowns the margin.
        normalize=True,
    ),
    # The paper's margin is 1, of activations as they are. Two normalised layers are up to 2 apart
    # (squared, where none is negative): with 2 a layer hardly a pair drops out of the loss.
    loss=dict(type='TripletHingeLoss', margin=6.0),
    random_scale=28 / 84,
)
