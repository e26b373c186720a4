_base_ = [
    '../_base_/models/mnist_addition/2x-st-fc.py',
    '../_base_/datasets/mnist_addition.py',
    '../_base_/schedules/mnist_bs256_150k.py',
    '../_base_/default_runtime.py',
]

# Which digit each ST looks at.
custom_hooks = [dict(type='WindowsHook', transformer='backbone.before.layers')]
val_evaluator = [dict(type='Accuracy', topk=(1,)), dict(type='DigitCoverage')]
test_evaluator = val_evaluator
