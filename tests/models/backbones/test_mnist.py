"""MNISTFC and MNISTCNN."""

import pytest
import torch

from mmstn.models import MNISTCNN, MNISTFC


def test_layout_in_memory_changes_no_number():
    x = torch.randn(2, 2, 28, 28)
    plain, other = MNISTCNN(28, 2), MNISTCNN(28, 2, channels_last=True)
    other.load_state_dict(plain.state_dict())
    assert other.layers[:2](x).is_contiguous(memory_format=torch.channels_last)  # pool, conv
    torch.testing.assert_close(plain(x), other(x), rtol=1e-4, atol=1e-5)


def test_small_nets_by_hand():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    fc = MNISTFC(in_size=28, channels=(128, 64))
    assert count(fc) == (784 * 128 + 128) + (128 * 64 + 64)
    assert fc(torch.rand(2, 1, 28, 28))[0].shape == (2, fc.out_channels) == (2, 64)
    # 28 - 8 = 20, pooled 10, 10 - 6 = 4, pooled 2.
    cnn = MNISTCNN(in_size=28, channels=(32, 64))
    assert count(cnn) == (81 * 32 + 32) + (32 * 49 * 64 + 64)
    assert cnn(torch.rand(2, 1, 28, 28))[0].shape == (2, cnn.out_channels) == (2, 64 * 2 * 2)
    # 60 averaged to 30, 22, 11, 5, 2.
    wide = MNISTCNN(in_size=60, in_channels=2, downsample=2)
    assert wide(torch.rand(2, 2, 60, 60))[0].shape == (2, 64 * 2 * 2)
    half = MNISTFC(in_size=(42, 40), downsample=2, channels=(8,))
    assert count(half) == 21 * 20 * 8 + 8
    with pytest.raises(ValueError, match='in_size.*8.*does not fit'):
        MNISTCNN(in_size=8)
    with pytest.raises(ValueError, match='downsample.*0'):
        MNISTFC(in_size=8, downsample=0)
