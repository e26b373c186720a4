# Pictures show labels of several places as one number.
_base_ = './default_runtime.py'

visualizer = dict(type='NumberVisualizer')
