# The windows are found by differences of the loss.
_base_ = './2x-st-small_1xb32-3600_birds-192.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='LossDifferencesHook', step=0.15, end_factor=0.04 / 0.15, begin=200, end=600),
]
