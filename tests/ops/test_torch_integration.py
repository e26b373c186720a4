"""The sampling functions inside PyTorch: compilers, exporters, derivatives, autocast."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from mmstn.ops import _ext, affine_grid_sample, grid_sample, matrix_grid, use_backend
from tests.ops.sampling_cases import (
    MODES,
    PADDINGS,
    SOURCES,
    deterministic_algorithms,
    needs_op,
    random_map,
)

OUT_SIZE = (6, 7)


def problem(source='affine', dtype=torch.float32, n=2, k=2):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(n, 3, 8, 9, dtype=dtype, generator=generator).requires_grad_()
    map = random_map(source, n, k, OUT_SIZE, generator, spread=0.2).to(dtype).requires_grad_()
    return image, map


def warp(image, map, *options):
    if map.dim() == 5:
        return grid_sample(image, map, *options)
    return affine_grid_sample(image, map, OUT_SIZE, *options)


class Warp(nn.Module):
    def forward(self, image, map):
        return warp(image, map)


@needs_op
@pytest.mark.parametrize(
    ('source', 'layout'),
    [
        ('affine', torch.contiguous_format),
        ('projective', torch.channels_last),
        ('grid', torch.contiguous_format),
    ],
)
def test_opcheck(source, layout):
    image, map = problem(source)
    image = image.detach().contiguous(memory_format=layout).requires_grad_()
    arguments = (1, 0, False)
    torch.library.opcheck(
        torch.ops.mmstn.sample, (image, map, *OUT_SIZE, *arguments, torch.float32)
    )
    gradient = torch.randn(2, 2, 3, *OUT_SIZE)
    torch.library.opcheck(
        torch.ops.mmstn.sample_backward, (gradient, image, map, *arguments, True, True)
    )


@pytest.mark.parametrize('backend', ['auto', 'torch'])
@pytest.mark.parametrize('dynamic', [False, True])
def test_compiles_into_one_graph(backend, dynamic):
    torch.compiler.reset()
    compiled = torch.compile(warp, fullgraph=True, dynamic=dynamic, backend='aot_eager')
    with use_backend(backend):
        for n in (2, 3):
            image, map = problem(n=n)
            expected, actual = warp(image, map), compiled(image, map)
            torch.testing.assert_close(actual, expected)
            gradient = torch.randn_like(expected)
            torch.testing.assert_close(
                torch.autograd.grad(actual, (image, map), gradient),
                torch.autograd.grad(expected, (image, map), gradient),
            )


@needs_op
def test_torch_export_keeps_the_op():
    image, map = (tensor.detach() for tensor in problem())
    batch = torch.export.Dim('batch')
    program = torch.export.export(Warp(), (image, map), dynamic_shapes=({0: batch}, {0: batch}))
    assert any('mmstn.sample' in str(node.target) for node in program.graph.nodes)
    image, map = (tensor.detach() for tensor in problem(n=5))
    torch.testing.assert_close(program.module()(image, map), warp(image, map))


@pytest.mark.parametrize('dynamo', [True, False])
def test_onnx_holds_standard_nodes(dynamo, tmp_path):
    onnx = pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    if dynamo:
        pytest.importorskip('onnxscript')
    image, map = (tensor.detach() for tensor in problem())
    file = tmp_path / 'warp.onnx'
    if dynamo:
        batch = torch.export.Dim('batch')
        shapes = ({0: batch}, {0: batch})
        torch.onnx.export(Warp(), (image, map), dynamo=True, dynamic_shapes=shapes).save(file)
        image, map = (tensor.detach() for tensor in problem(n=5))
    else:
        torch.onnx.export(Warp(), (image, map), file, dynamo=False, opset_version=20)
    nodes = onnx.load(file).graph.node
    assert {node.domain for node in nodes} == {''}
    assert 'GridSample' in {node.op_type for node in nodes}
    session = onnxruntime.InferenceSession(file)
    names = [i.name for i in session.get_inputs()]
    (actual,) = session.run(None, dict(zip(names, (image.numpy(), map.numpy()), strict=True)))
    torch.testing.assert_close(torch.from_numpy(actual), warp(image, map), rtol=0, atol=3e-5)


@needs_op
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize(
    'options', [('bilinear', 'zeros'), ('bicubic', 'border'), ('bilinear', 'reflection')], ids=str
)
def test_first_and_second_derivative(source, options):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=generator).requires_grad_()
    map = random_map(source, 1, 2, (2, 3), generator, spread=0.2).requires_grad_()

    def sample(image, map):
        if source == 'grid':
            return grid_sample(image, map, *options)
        return affine_grid_sample(image, map, (2, 3), *options)

    assert gradcheck(sample, (image, map))
    assert gradgradcheck(sample, (image, map), fast_mode=True)
    assert gradgradcheck(lambda m: sample(image.detach(), m), (map,), fast_mode=True)
    assert gradgradcheck(lambda u: sample(u, map.detach()), (image,), fast_mode=True)


@needs_op
def test_second_derivative_at_the_identity():
    """Every point lies on a pixel there: first and second derivative must choose the same cell."""
    image = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    matrix = torch.eye(2, 3, dtype=torch.float64).view(1, 1, 2, 3).requires_grad_()
    gradient = torch.randn(1, 1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    samples = affine_grid_sample(image, matrix, (6, 6))
    (first,) = torch.autograd.grad(samples, matrix, gradient, create_graph=True)
    direction = torch.randn_like(first)
    (second,) = torch.autograd.grad(first, gradient, direction, retain_graph=True)
    # `first` is linear in `gradient`: its derivative along `direction`, applied to `gradient`, is
    # `first` along `direction`.
    torch.testing.assert_close((second * gradient).sum(), (first * direction).sum())


@pytest.mark.parametrize('backend', ['auto', 'torch'])
def test_torch_func_and_forward_mode(backend):
    image, map = problem()
    samples = warp(image, map)
    gradient = torch.randn_like(samples)
    expected = torch.autograd.grad(samples, (image, map), gradient)
    image, map = image.detach(), map.detach()
    with use_backend(backend):
        mapped = torch.func.vmap(lambda u, m: warp(u[None], m[None])[0])(image, map)
        torch.testing.assert_close(mapped, samples, rtol=1e-4, atol=1e-5)
        actual = torch.func.grad(lambda u, m: (warp(u, m) * gradient).sum(), argnums=(0, 1))(
            image, map
        )
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backend', ['auto', 'torch'])
@pytest.mark.parametrize('image_dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('grid_dtype', [torch.float32, torch.bfloat16])
def test_autocast_is_that_of_grid_sample(backend, image_dtype, grid_dtype):
    image, matrix = (tensor.detach() for tensor in problem())
    image, grid = image.to(image_dtype), matrix_grid(matrix, OUT_SIZE).to(grid_dtype)
    with use_backend(backend), torch.autocast('cpu', torch.bfloat16):
        ours = grid_sample(image, grid[:, 0])
        theirs = F.grid_sample(image, grid[:, 0], align_corners=False)
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)
    with use_backend(backend):  # outside autocast: the type of the map, coordinates in float32
        assert grid_sample(image, grid).dtype == image_dtype


@pytest.mark.parametrize('backend', ['auto', 'torch'])
def test_half_precision_has_float32_coordinates(backend):
    """A float16 grid of 224 points would be off by 0.02 px; the map's values are exact here."""
    ramp = torch.arange(224, dtype=torch.float16).expand(1, 1, 4, 224)
    matrix = torch.tensor([[[[0.9, 0.0, 0.01], [0.0, 1.0, 0.0]]]])
    with use_backend(backend):
        actual = affine_grid_sample(ramp, matrix, (4, 224))
    exact = affine_grid_sample(ramp.double(), matrix.double(), (4, 224))
    torch.testing.assert_close(actual.double(), exact, rtol=2**-11, atol=1e-3)


@needs_op
def test_what_the_op_does_not_cover_goes_through_pytorch():
    volume = torch.randn(1, 2, 4, 5, 6)
    with use_backend('native'):
        actual = affine_grid_sample(volume, torch.eye(3, 4)[None], (4, 5, 6))
        torch.testing.assert_close(actual, volume)
        image, map = problem()
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(image.detach(), image.detach())
            tangent = torch.autograd.forward_ad.unpack_dual(warp(dual, map.detach(), 'nearest'))[1]
    torch.testing.assert_close(tangent, warp(image, map, 'nearest').detach())


@needs_op
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('padding_mode', PADDINGS)
def test_deterministic_algorithms(mode, padding_mode):
    image, map = problem()
    with deterministic_algorithms():
        gradients = [
            torch.autograd.grad(warp(image, map, mode, padding_mode).square().sum(), (image, map))
            for _ in range(2)
        ]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_fake_tensors_have_the_shape_of_real_ones():
    if _ext.MODULE is None:
        pytest.skip(_ext.WHY_MISSING)
    image, map = problem()
    assert warp(image.to('meta'), map.to('meta')).shape == (2, 2, 3, *OUT_SIZE)
