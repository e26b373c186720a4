_base_ = './st_1xb50-400_mnist5k-t_digit0.py'
train_dataloader = dict(dataset=dict(dataset=dict(label=5)))
val_dataloader = dict(dataset=dict(dataset=dict(label=5)))
test_dataloader = val_dataloader
