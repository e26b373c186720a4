# 2x-st-resnet50.py with Swin-T and mmpretrain's ImageNet weights; both windows share one stream.
_base_ = './2x-st-resnet50.py'

checkpoint = 'https://mmassets.onedl.ai/mmclassification/v0/swin-transformer/swin_tiny_224_b16x64_300e_imagenet_20210616_090925-66df6be6.pth'

swin = dict(type='SwinTransformer', arch='tiny', img_size=224, drop_path_rate=0.2)
model = dict(
    backbone=dict(
        backbone=dict(_delete_=True, **swin),
        transformer=dict(loc_net=dict(backbone=dict(_delete_=True, **swin))),
        streams='shared',
        init_cfg=dict(checkpoint=checkpoint),
    ),
    head=dict(in_channels=2 * 768),
)
