# The whole image, scaled to 224 px, is a third view.
_base_ = './2x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(backbone=dict(with_global=True), head=dict(in_channels=3 * 1024))
