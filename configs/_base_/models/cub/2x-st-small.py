# 2x-st-inception-v2.py with the small ResNet, on 192 px: windows of 96 px, scaled down to 48 px.
_base_ = './small.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='STNBackbone',
        backbone=_base_.model.backbone,
        transformer=dict(
            num_transformers=2,
            grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
            out_size=(48, 48),
            antialias=True,
            init='tile',
            loc_net=dict(
                type='BackboneLocNet',
                backbone=_base_.model.backbone,
                in_size=192,
                downsample=4,
                reduction_channels=32,
                fc_channels=(64,),
            ),
        ),
        streams='separate',
        init_cfg=dict(type='Pretrained', checkpoint=_base_.checkpoint, prefix='backbone.'),
    ),
    head=dict(in_channels=2 * 64),
)

val_evaluator = [*_base_.val_evaluator, dict(type='PartLocalization', per_part=False)]
test_evaluator = [*_base_.val_evaluator, dict(type='PartLocalization')]
custom_hooks = [dict(type='WindowsHook'), dict(type='STNVisualizationHook', num_samples=6)]
