_base_ = './st_1xb50-400_mnist5k-tc_digit0.py'
train_dataloader = dict(dataset=dict(dataset=dict(label=9)))
val_dataloader = dict(dataset=dict(dataset=dict(label=9)))
test_dataloader = val_dataloader
