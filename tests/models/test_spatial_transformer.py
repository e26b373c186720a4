"""The spatial transformer as a module: sizes, starts, what it computes, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmstn.models import (
    AffineGridGenerator,
    ConvLocNet,
    FCLocNet,
    MatrixGridGenerator,
    SpatialTransformer,
)
from mmstn.ops import SamplingKernel
from tests.old_torch import torch_must

FAMILIES = ('Affine', 'Similarity', 'Attention', 'Translation', 'Projective', 'TPS')


def make(family='Affine', size=(12, 10), **options):
    return SpatialTransformer(
        loc_net=dict(type='FCLocNet', in_channels=2, in_size=size, fc_channels=(8,)),
        grid_generator=dict(type=f'{family}GridGenerator'),
        **options,
    )


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('mode', ['nearest', 'bilinear', 'bicubic'])
def test_it_starts_as_the_identity(family, align_corners, mode):
    image = torch.rand(3, 2, 12, 10)
    st = make(family, align_corners=align_corners, mode=mode)
    torch.testing.assert_close(st(image), image, rtol=0, atol=5e-6)
    parallel = make(family, align_corners=align_corners, mode=mode, num_transformers=3)
    expected = image[:, None].expand(-1, 3, -1, -1, -1)
    torch.testing.assert_close(parallel(image), expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize('family', ['Affine', 'Similarity', 'Attention', 'Projective', 'TPS'])
def test_tiles_are_the_quarters_of_the_image(family):
    image = torch.rand(3, 2, 12, 10)
    views = make(family, num_transformers=4, init='tile', out_size=0.5)(image)
    quarters = torch.stack(
        [image[..., :6, :5], image[..., :6, 5:], image[..., 6:, :5], image[..., 6:, 5:]], dim=1
    )
    torch.testing.assert_close(views, quarters, rtol=0, atol=2e-5)


def test_antialias_averages_what_a_shrinking_map_covers():
    image = torch.rand(2, 2, 48, 40)
    expected = F.interpolate(image, size=(12, 10), mode='bilinear', antialias=True)
    options = dict(size=(48, 40), out_size=0.25, padding_mode='border')
    plain, filtered = (make(antialias=a, **options)(image) for a in (False, True))
    inner = (..., slice(2, -2), slice(2, -2))
    spread = expected[inner].std()
    assert (filtered - expected)[inner].square().mean().sqrt() < 0.1 * spread
    assert (plain - expected)[inner].square().mean().sqrt() > spread


def test_explicit_start_in_pixels():
    image = torch.rand(1, 2, 12, 10)
    shift = [1, 0, 2 / 5, 0, 1, -1 / 6]  # two pixels to the right of ten, one up of twelve
    sampled = make(init=shift)(image)
    expected = F.pad(image, (0, 2, 1, 0))[..., :12, 2:]
    torch.testing.assert_close(sampled, expected, rtol=0, atol=2e-6)
    both = make(init=[shift, [1, 0, 0, 0, 1, 0]], num_transformers=2)(image)
    torch.testing.assert_close(both, torch.stack([expected, image], 1), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ('out_size', 'expected'),
    [
        (None, (12, 10)),
        (0.5, (6, 5)),
        (2.0, (24, 20)),
        (np.float32(0.5), (6, 5)),
        (28, (28, 28)),
        (np.int64(2), (2, 2)),
        ((7, 3), (7, 3)),
        ([7, 3], (7, 3)),
        (0.01, (1, 1)),
    ],
)
def test_out_size(out_size, expected):
    assert make(out_size=out_size)(torch.rand(1, 2, 12, 10)).shape[2:] == expected


@pytest.mark.parametrize('align_corners', [False, True])
def test_one_flag_rules_generator_and_sampler(align_corners):
    image = torch.rand(4, 2, 12, 10, dtype=torch.float64)
    st = make(align_corners=align_corners, out_size=(9, 7)).double()
    nn.init.normal_(st.loc_net.regression.weight, std=0.1)
    samples, theta = st(image, return_theta=True)
    grid = F.affine_grid(theta.reshape(4, 2, 3), (4, 2, 9, 7), align_corners)
    expected = F.grid_sample(image, grid, align_corners=align_corners)
    assert theta.shape == (4, 6)
    torch.testing.assert_close(samples, expected, rtol=0, atol=1e-12)


def test_tps_samples_through_its_grid():
    image = torch.rand(4, 2, 12, 10, dtype=torch.float64)
    st = make('TPS', num_transformers=2).double()
    nn.init.normal_(st.loc_net.regression.weight, std=0.1)
    samples, theta = st(image, return_theta=True)
    assert theta.shape == (4, 2, 32)
    for k in range(2):
        grid = st.grid_generator(theta[:, k], (12, 10))
        expected = F.grid_sample(image, grid, align_corners=False)
        torch.testing.assert_close(samples[:, k], expected, rtol=0, atol=1e-12)


def test_volumes():
    st = SpatialTransformer(
        dict(type='ConvLocNet', in_channels=1, ndim=3, channels=(2,), pool_sizes=2),
        dict(type='AffineGridGenerator', ndim=3),
        out_size=(4, 6, 8),
    )
    volume = torch.rand(2, 1, 20, 20, 20)
    expected = F.grid_sample(
        volume,
        F.affine_grid(torch.eye(3, 4).expand(2, 3, 4), (2, 1, 4, 6, 8), False),
        align_corners=False,
    )
    torch.testing.assert_close(st(volume), expected, rtol=0, atol=1e-5)


def test_users_own_parts():
    """The example of the README: a family of one's own, and a loc net that is any module."""

    class Zoom(MatrixGridGenerator):
        num_params = 1

        def identity_theta(self):
            return torch.zeros(1)

        def matrix(self, theta):
            scale = torch.exp(self.check_theta(theta))[..., None]
            return scale * torch.eye(2, 3, device=theta.device)

    image = torch.rand(2, 2, 12, 10)
    net = FCLocNet(2, (12, 10), num_params=1)
    torch.testing.assert_close(SpatialTransformer(net, Zoom())(image), image, rtol=0, atol=2e-6)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1))
    assert SpatialTransformer(pooled, Zoom())(image).shape == image.shape
    kernel = SamplingKernel(lambda d: (1 - d.abs()).clamp(min=0), support=1)
    own_kernel = SpatialTransformer(net, Zoom(), mode=kernel)
    torch.testing.assert_close(own_kernel(image), image, rtol=0, atol=2e-6)


def test_gradients_reach_everything():
    image = torch.rand(2, 2, 12, 10, requires_grad=True)
    st = make()
    nn.init.normal_(st.loc_net.regression.weight, std=0.1)
    (st(image) * torch.rand(2, 2, 12, 10)).sum().backward()
    for parameter in [image, *st.parameters()]:
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize('family', ['Affine', 'TPS'])
def test_it_compiles_and_exports(family, tmp_path):
    torch_must('compile all of it into one graph')
    st = make(family, num_transformers=2).eval()
    nn.init.normal_(st.loc_net.regression.weight, std=0.05)
    image = torch.rand(2, 2, 12, 10)
    expected = st(image)
    exported = torch.export.export(st, (image,))
    torch.testing.assert_close(exported.module()(image), expected, rtol=1e-5, atol=1e-5)
    compiled = torch.compile(st, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(image), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('family', ['Affine', 'TPS'])
def test_onnx_computes_the_same(family, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    torch_must('write ONNX by its new exporter')
    st = make(family, num_transformers=2).eval()
    nn.init.normal_(st.loc_net.regression.weight, std=0.05)
    path = tmp_path / 'st.onnx'
    batch = torch.export.Dim('batch', min=1)
    torch.onnx.export(
        st, (torch.rand(2, 2, 12, 10),), path, dynamo=True, opset_version=20,
        input_names=['image'], dynamic_shapes=({0: batch},), verbose=False,
    )  # fmt: skip
    image = torch.rand(5, 2, 12, 10)
    session = onnxruntime.InferenceSession(path)
    (actual,) = session.run(None, {'image': image.numpy()})
    torch.testing.assert_close(torch.from_numpy(actual), st(image), rtol=0, atol=1e-4)


BAD_MODULES = {
    'mode': (dict(mode='cubic'), ValueError, "mode.*'cubic'"),
    'antialias': (dict(antialias=True, mode='nearest'), ValueError, "antialias.*'nearest'"),
    'antialias of a spline': (
        dict(antialias=True, grid_generator=dict(type='TPSGridGenerator')),
        ValueError,
        'antialias.*TPSGridGenerator',
    ),
    'padding': (dict(padding_mode='same'), ValueError, "padding_mode.*'same'"),
    'zero size': (dict(out_size=(0, 4)), ValueError, r'out_size\[0\].*0'),
    'zero side': (dict(out_size=0), ValueError, 'out_size.*0'),
    'zero scale': (dict(out_size=0.0), ValueError, 'out_size.*0'),
    'a side as a scale': (dict(out_size=28.0), ValueError, r'out_size.*\(0, 8\], got 28'),
    'no number': (dict(out_size=float('nan')), ValueError, 'out_size.*nan'),
    'a flag as a size': (dict(out_size=True), TypeError, 'out_size.*True'),
    'a word as a size': (dict(out_size='28'), TypeError, "out_size.*'28'"),
    'a word as a flag': (dict(align_corners='no'), TypeError, "align_corners.*'no'"),
    'size of a volume': (dict(out_size=(4, 4, 4)), ValueError, r'out_size.*\(4, 4, 4\)'),
    'no transformers': (dict(num_transformers=0), ValueError, 'num_transformers.*0'),
    'init word': (dict(init='random'), ValueError, "init.*'random'"),
    'init numbers': (dict(init=[1, 2]), ValueError, r'init.*\(6,\).*\(2,\)'),
    'init for another K': (
        dict(init=[[0] * 6] * 3, num_transformers=2),
        ValueError,
        r'init.*\(2, 6\).*\(3, 6\)',
    ),
    'loc net': (dict(loc_net='FCLocNet'), TypeError, 'loc_net.*str'),
    'grid generator': (dict(grid_generator=nn.Identity()), TypeError, 'grid_generator.*Identity'),
    'P that does not fit': (
        dict(loc_net=dict(type='FCLocNet', in_channels=2, in_size=8, num_params=4)),
        ValueError,
        'loc_net.num_params must be 6, got 4',
    ),
    'K that does not fit': (
        dict(loc_net=dict(type='FCLocNet', in_channels=2, in_size=8, num_transformers=3)),
        ValueError,
        'loc_net.num_transformers must be None, got 3',
    ),
    'built loc net of another P': (
        dict(loc_net=ConvLocNet(in_channels=2, num_params=4)),
        ValueError,
        'loc_net.num_params must be 6, got 4',
    ),
}


@pytest.mark.parametrize(('change', 'error', 'message'), BAD_MODULES.values(), ids=BAD_MODULES)
def test_bad_options_are_named_when_built(change, error, message):
    options = dict(
        loc_net=dict(type='FCLocNet', in_channels=2, in_size=8),
        grid_generator=AffineGridGenerator(),
    )
    with pytest.raises(error, match=message):
        SpatialTransformer(**(options | change))


def test_bad_maps_are_named():
    st = make()
    with pytest.raises(TypeError, match='input.*uint8'):
        st(torch.zeros(1, 2, 12, 10, dtype=torch.uint8))
    with pytest.raises(ValueError, match='input.*2 spatial dimensions'):
        st(torch.zeros(1, 2, 4, 12, 10))
    with pytest.raises(ValueError, match=r'input.*\(12, 10\)'):
        st(torch.zeros(12, 10))
    wrong = SpatialTransformer(
        nn.Sequential(nn.Flatten(), nn.Linear(240, 5)), AffineGridGenerator()
    )
    with pytest.raises(ValueError, match=r'theta.*\(1, 6\).*\(1, 5\)'):
        wrong(torch.zeros(1, 2, 12, 10))
