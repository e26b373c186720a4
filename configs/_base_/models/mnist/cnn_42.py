# For RTS: pooled to 21x21, where the paper's kernels of 9 and 7 do not fit. Half as large they see
# as much of the digit, and the last map is 2x2 as at 28x28 (396,714 parameters).
_base_ = './cnn_28.py'
model = dict(
    backbone=dict(in_size=42, downsample=2, channels=(88, 176), kernel_sizes=(5, 5)),
    head=dict(in_channels=4 * 176),
)
