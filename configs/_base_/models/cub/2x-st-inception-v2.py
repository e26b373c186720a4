# Two windows of half the image's width and height, tiled at the start, each for an Inception of its
# own (section 4.3). One localisation net finds both: Inception on the image scaled down by 2, a 1x1
# convolution to 128, FC 128. `init_cfg` loads its weights into the streams and into that net.
_base_ = './inception-v2.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        backbone=dict(type='InceptionV2'),
        transformer=dict(
            num_transformers=2,
            grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
            out_size=(224, 224),
            init='tile',
            loc_net=dict(
                type='BackboneLocNet',
                backbone=dict(type='InceptionV2'),
                in_size=448,
                downsample=2,
                reduction_channels=128,
                fc_channels=(128,),
            ),
        ),
        streams='separate',
        init_cfg=_base_.model.backbone.init_cfg,
    ),
    head=dict(in_channels=2 * 1024),
)

val_evaluator = [*_base_.val_evaluator, dict(type='PartLocalization')]
test_evaluator = val_evaluator
custom_hooks = [
    dict(type='WindowsHook'),
    dict(type='STNVisualizationHook', num_samples=6, bgr=True),
]
