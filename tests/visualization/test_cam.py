"""Maps of a layer on the image, in cases where it is known where they belong."""

import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.visualization import lay_back, record_transformers

# Half as large as the image, around the middle of its quarters (x, y).
QUARTERS = {'lower right': (0.5, 0.5), 'upper left': (-0.5, -0.5), 'lower left': (-0.5, 0.5)}


@MODELS.register_module(force=True)
class Brightness(nn.Module):
    """A backbone whose only layers see where the image is bright, at the image's own size."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Identity()
        self.layer2 = nn.Identity()

    def forward(self, x):
        return (self.layer2(self.layer1(x)),)


def transformer(*quarters, K=None, out_size=(32, 32), generator='AffineGridGenerator'):
    start = [[0.5, 0, QUARTERS[q][0], 0, 0.5, QUARTERS[q][1]] for q in quarters]
    if generator == 'TPSGridGenerator':  # the corners of the quarter, as control points
        corners = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
        start = [
            [c + m for corner in corners for c, m in zip(corner, QUARTERS[q], strict=True)]
            for q in quarters
        ]
    options = dict(num_control_points=(2, 2)) if generator == 'TPSGridGenerator' else {}
    return dict(
        loc_net=dict(type='ConvLocNet', in_channels=1),
        grid_generator=dict(type=generator, **options),
        out_size=out_size,
        num_transformers=K,
        init=start[0] if K is None else start,
    )


def laid_back(layer, images, **options):
    """What ``layer`` gave, laid back onto the images, and what it gave."""
    backbone = dict(type='STNBackbone', backbone=dict(type='Brightness'), **options)
    model = nn.ModuleDict(dict(backbone=MODELS.build(backbone))).eval()
    seen = []

    def keep(module, args, output):
        seen.append((output[:, 0], list(records)))

    model.get_submodule(layer).register_forward_hook(keep)
    with record_transformers(model) as records:
        model['backbone'](images)
    ((maps, before),) = seen
    return lay_back(maps, layer, model, before), maps


@pytest.fixture
def images():
    """Two images of 64 x 64 with one bright pixel in each quarter, the same place in none."""
    images = torch.zeros(2, 1, 64, 64)
    for x, y in [(10, 5), (40, 12), (20, 60), (50, 44)]:
        images[0, 0, y, x] = 1
        images[1, 0, y, x - 3] = 1
    return images


def quarter(images, *names):
    """Only these quarters of the images, (N, H, W)."""
    kept = torch.zeros_like(images)
    for name in names:
        x, y = (slice(0, 32) if c < 0 else slice(32, 64) for c in QUARTERS[name])
        kept[..., y, x] = images[..., y, x]
    return kept[:, 0]


@pytest.mark.parametrize('generator', ['AffineGridGenerator', 'TPSGridGenerator'])
def test_one_window(images, generator):
    options = dict(transformer=transformer('lower right', generator=generator))
    found, maps = laid_back('backbone.streams.0.layer2', images, **options)
    assert maps.shape == (2, 32, 32)
    torch.testing.assert_close(found, quarter(images, 'lower right'), atol=1e-4, rtol=0)


@pytest.mark.parametrize('with_global', [False, True])
def test_views_that_share_a_stream(images, with_global):
    quarters = ('lower right', 'upper left')
    found, maps = laid_back(
        'backbone.streams.0.layer2',
        images,
        transformer=transformer(*quarters, K=2),
        with_global=with_global,
    )
    assert len(maps) == (6 if with_global else 4)
    kept = quarter(images, *quarters)
    if not with_global:
        torch.testing.assert_close(found, kept, atol=1e-4, rtol=0)
    else:  # at half the size: it is seen where the image is bright, and darker
        assert (found[kept > 0] > 0.99).all()
        others = images[:, 0] - kept
        assert (found[others > 0] > 0.05).all() and (found[others > 0] < 0.5).all()


@pytest.mark.parametrize('stream, name', [(0, 'lower right'), (1, 'upper left')])
def test_separate_streams(images, stream, name):
    found, _ = laid_back(
        f'backbone.streams.{stream}.layer2',
        images,
        transformer=transformer('lower right', 'upper left', K=2),
        streams='separate',
    )
    torch.testing.assert_close(found, quarter(images, name), atol=1e-4, rtol=0)


def test_the_whole_image_as_a_separate_stream(images):
    found, maps = laid_back(
        'backbone.streams.2.layer2',
        images,
        transformer=transformer('lower right', 'upper left', K=2, out_size=(64, 64)),
        streams='separate',
        with_global=True,
    )
    torch.testing.assert_close(found, images[:, 0])
    torch.testing.assert_close(maps, images[:, 0])


def test_inserted_transformers_and_layers_before_them(images):
    inner = transformer('lower right')
    found, maps = laid_back('backbone.streams.0.layer2', images, insert=dict(layer2=inner))
    assert maps.shape == (2, 32, 32)
    torch.testing.assert_close(found, quarter(images, 'lower right'), atol=1e-4, rtol=0)
    found, maps = laid_back('backbone.streams.0.layer1', images, insert=dict(layer2=inner))
    assert found is maps


def test_several_inserted_views_share_a_map(images):
    inner = transformer('lower right', 'upper left', K=2)
    found, maps = laid_back('backbone.streams.0.layer2', images, insert=dict(layer2=inner))
    # The map is that of the first channel, and so of the first window, and counts for both.
    assert (found[0, 44, 50], found[0, 12, 18]) == pytest.approx((1, 1), abs=1e-4)
    assert found[0].sum() == pytest.approx(2, abs=1e-3)


def test_a_window_in_a_window(images):
    found, _ = laid_back(
        'backbone.streams.0.layer2',
        images,
        transformer=transformer('lower right', 'lower left', K=2, out_size=(32, 32)),
        insert=dict(layer2=transformer('upper left', out_size=(16, 16))),
    )
    expected = torch.zeros(2, 64, 64)
    for x in (32, 0):  # the upper left quarter of either
        expected[:, 32:48, x : x + 16] = images[:, 0, 32:48, x : x + 16]
    assert expected.any()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_layers_that_see_the_image_itself(images):
    layer = 'backbone.transformer.loc_net.conv.0'
    found, maps = laid_back(layer, images, transformer=transformer('lower right'))
    assert found is maps
