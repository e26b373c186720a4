_base_ = [
    '../_base_/models/mnist/st-cnn_60.py',
    '../_base_/datasets/mnist5k_tc.py',
    '../_base_/schedules/mnist5k_bs64_2k.py',
    '../_base_/default_runtime.py',
]

# Unlike its siblings without normalisation: on these large, mostly black images a normalised
# localisation net throws its windows out of the image in the first steps.
