# Both windows go through one Inception.
_base_ = './2x-st-inception-v2_8xb32-30k_cub-448.py'

model = dict(backbone=dict(streams='shared'))
