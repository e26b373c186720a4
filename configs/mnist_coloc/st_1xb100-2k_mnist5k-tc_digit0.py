_base_ = [
    '../_base_/models/mnist_coloc.py',
    '../_base_/datasets/mnist5k_coloc_tc.py',
    '../_base_/schedules/mnist_coloc_2k.py',
    '../_base_/default_runtime.py',
]

# The windows at every validation: pictures in vis_data/vis_image of the work folder.
custom_hooks = [dict(type='STVisualizationHook', num_samples=8)]
