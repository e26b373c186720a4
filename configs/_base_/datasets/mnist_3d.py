# The paper's digits in three dimensions (appendix A.3), at a random place in 60x60x60. How deep the
# digits are it does not say.
_base_ = './mnist.py'

train_pipeline = [dict(type='RandomExtrusion', depth=28), dict(type='PackInputs')]
# A seed places each digit once and for all.
test_pipeline = [dict(type='RandomExtrusion', depth=28, seed=0), dict(type='PackInputs')]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
