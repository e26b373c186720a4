# 2x-st-resnet50.py with Inception-v3 and mmpretrain's ImageNet weights.
_base_ = './2x-st-resnet50.py'

checkpoint = 'https://mmassets.onedl.ai/mmclassification/v0/inception-v3/inception-v3_3rdparty_8xb32_in1k_20220615-dcd4d910.pth'

inception = dict(type='InceptionV3Features')
model = dict(
    backbone=dict(
        backbone=dict(_delete_=True, **inception),
        transformer=dict(loc_net=dict(backbone=dict(_delete_=True, **inception))),
        init_cfg=dict(checkpoint=checkpoint),
    ),
)
