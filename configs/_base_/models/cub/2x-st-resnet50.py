# 2x-st-inception-v2.py with ResNet-50, from the ImageNet-21k weights of mmpretrain's own config.
_base_ = './2x-st-inception-v2.py'

checkpoint = 'https://mmassets.onedl.ai/mmclassification/v0/resnet/resnet50_3rdparty-mill_in21k_20220331-faac000b.pth'
data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True, num_classes=200
)

resnet = dict(type='ResNet', depth=50)
model = dict(
    backbone=dict(
        backbone=dict(_delete_=True, **resnet),
        transformer=dict(loc_net=dict(backbone=dict(_delete_=True, **resnet))),
        init_cfg=dict(checkpoint=checkpoint),
    ),
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=200,
        in_channels=2 * 2048,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
    ),
)

custom_hooks = [dict(type='WindowsHook'), dict(type='STNVisualizationHook', num_samples=6)]
