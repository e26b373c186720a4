"""The sampling functions inside PyTorch: compilers, exporters, derivatives, autocast."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck

from mmstn.ops import affine_grid_sample, grid_sample, matrix_grid, use_backend
from mmstn.ops.native import MODULE
from tests.old_torch import BY_TORCHSCRIPT, torch_must
from tests.ops.sampling_cases import (
    MODES,
    PADDINGS,
    SOURCES,
    deterministic_algorithms,
    needs_op,
    off_lattice,
    random_map,
    seeded,
)

OUT_SIZE = (6, 7)
BACKENDS = ('auto', 'torch')


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
    torch_must('check an op')
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


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('dynamic', [False, True])
def test_compiles_into_one_graph(backend, dynamic):
    torch_must('compile all of it into one graph')
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
    torch_must('export graphs for any batch size')
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
        torch_must('write ONNX by its new exporter')
    image, map = (tensor.detach() for tensor in problem())
    file = tmp_path / 'warp.onnx'
    if dynamo:
        batch = torch.export.Dim('batch')
        shapes = ({0: batch}, {0: batch})
        torch.onnx.export(Warp(), (image, map), dynamo=True, dynamic_shapes=shapes).save(file)
        image, map = (tensor.detach() for tensor in problem(n=5))
    else:
        torch.onnx.export(Warp(), (image, map), file, opset_version=16, **BY_TORCHSCRIPT)
    nodes = onnx.load(file).graph.node
    assert {node.domain for node in nodes} == {''}
    assert 'GridSample' in {node.op_type for node in nodes}
    session = onnxruntime.InferenceSession(file)
    names = [i.name for i in session.get_inputs()]
    (actual,) = session.run(None, dict(zip(names, (image.numpy(), map.numpy()), strict=True)))
    torch.testing.assert_close(torch.from_numpy(actual), warp(image, map), rtol=0, atol=3e-5)


class WarpToItsSize(nn.Module):
    """As ``F.affine_grid(matrix, image.shape)`` and ``F.grid_sample`` are written together."""

    def __init__(self, *options):
        super().__init__()
        self.options = options

    def forward(self, image, matrix):
        return affine_grid_sample(image, matrix, image.shape[2:], *self.options)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('padding_mode', PADDINGS)
@pytest.mark.parametrize('align_corners', [False, True])
def test_trace_follows_sizes(mode, padding_mode, align_corners):
    module = WarpToItsSize(mode, padding_mode, align_corners)
    image, matrix = (tensor.detach() for tensor in problem())
    traced = torch.jit.trace(module, (image, matrix), check_trace=False)
    image, matrix = (torch.cat([tensor, tensor[:1]]).detach() for tensor in problem())
    image = image[..., 1:, 2:]
    torch.testing.assert_close(traced(image, matrix), module(image, matrix), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('mode', MODES)
def test_onnx_by_torchscript_follows_sizes(mode, tmp_path):
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    module = WarpToItsSize(mode)
    image, matrix = (tensor.detach() for tensor in problem())
    file = tmp_path / 'warp.onnx'
    torch.onnx.export(
        module,
        (image, matrix),
        file,
        opset_version=16,
        input_names=['image', 'matrix'],
        dynamic_axes={'image': {0: 'n', 2: 'h', 3: 'w'}, 'matrix': {0: 'n'}},
        **BY_TORCHSCRIPT,
    )
    image, matrix = (torch.cat([tensor, tensor[:1]]).detach() for tensor in problem())
    image = image[..., 1:, 2:].contiguous()
    feed = {'image': image.numpy(), 'matrix': matrix.numpy()}
    (actual,) = onnxruntime.InferenceSession(file).run(None, feed)
    torch.testing.assert_close(torch.from_numpy(actual), module(image, matrix), rtol=0, atol=3e-5)


@pytest.mark.parametrize('source', SOURCES)
def test_onnx_keeps_what_is_not_a_number(source, tmp_path):
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    image, map = (tensor.detach() for tensor in problem(source))
    file = tmp_path / 'warp.onnx'
    torch.onnx.export(Warp(), (image, map), file, opset_version=16, **BY_TORCHSCRIPT)
    map[0, 1, 0, 0] = float('nan')
    session = onnxruntime.InferenceSession(file)
    names = [i.name for i in session.get_inputs()]
    (actual,) = session.run(None, dict(zip(names, (image.numpy(), map.numpy()), strict=True)))
    with use_backend('torch'):
        expected = warp(image, map)
    torch.testing.assert_close(
        torch.from_numpy(actual), expected, rtol=0, atol=3e-5, equal_nan=True
    )
    assert expected.isnan().any() and not expected.isnan().all()


def smooth_problem(source, mode, padding_mode='zeros'):
    """Two small maps, warps without points near a border of cells, and both sampled; float64."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 2, 4, 5, dtype=torch.float64, generator=generator)
    while True:
        warp = random_map(source, 2, 2, (2, 3), generator, spread=0.2)
        if off_lattice(warp, (4, 5), (2, 3), False, margin=0.02).all():
            break

    def sample(image, warp):
        if source == 'grid':
            return grid_sample(image, warp, mode, padding_mode)
        return affine_grid_sample(image, warp, (2, 3), mode, padding_mode)

    return image, warp, sample


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('padding_mode', PADDINGS)
def test_first_second_and_third_derivative(backend, source, mode, padding_mode):
    """By finite differences, along random directions."""
    image, warp, sample = smooth_problem(source, mode, padding_mode)
    both = (image.requires_grad_(), warp.requires_grad_())

    def derivative(image, warp):
        samples = sample(image, warp).pow(3).sum()
        return torch.autograd.grad(samples, (image, warp), create_graph=True)

    with use_backend(backend):
        assert gradcheck(sample, both)
        assert gradgradcheck(sample, both, fast_mode=True)
        assert gradgradcheck(derivative, both, fast_mode=True, atol=1e-4)
        assert gradgradcheck(lambda m: sample(image.detach(), m), (warp,), fast_mode=True)
        assert gradgradcheck(lambda u: sample(u, warp.detach()), (image,), fast_mode=True)


SECOND_DERIVATIVES = {
    'hvp': lambda f, x, v: torch.autograd.functional.hvp(f, x, v)[1],
    'vhp': lambda f, x, v: torch.autograd.functional.vhp(f, x, v)[1],
    'hessian': lambda f, x, v: apply(torch.autograd.functional.hessian(f, x), v),
    'vectorised hessian': lambda f, x, v: apply(
        torch.autograd.functional.hessian(f, x, vectorize=True), v
    ),
    'forward over reverse': lambda f, x, v: apply(
        torch.autograd.functional.hessian(
            f, x, vectorize=True, outer_jacobian_strategy='forward-mode'
        ),
        v,
    ),
    'vectorised jacobians': lambda f, x, v: apply(
        torch.autograd.functional.jacobian(
            lambda y: torch.autograd.functional.jacobian(f, y, True, vectorize=True),
            x,
            vectorize=True,
        ),
        v,
    ),
    'jvp': lambda f, x, v: torch.autograd.functional.jvp(
        lambda y: torch.autograd.functional.jacobian(f, y, create_graph=True), x, v
    )[1],
    'func.hessian': lambda f, x, v: apply(torch.func.hessian(f)(x), v),
    'func.jacrev': lambda f, x, v: apply(torch.func.jacrev(torch.func.jacrev(f))(x), v),
    'func.jacfwd': lambda f, x, v: apply(torch.func.jacfwd(torch.func.jacfwd(f))(x), v),
    'func.jvp': lambda f, x, v: torch.func.jvp(torch.func.grad(f), (x,), (v,))[1],
}


def apply(hessian, vector):
    return (hessian.reshape(vector.numel(), -1) @ vector.flatten()).reshape(vector.shape)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('mode', MODES)
def test_every_way_to_a_second_derivative(backend, source, mode):
    image, warp, sample = smooth_problem(source, mode)

    def scalar(warp):
        return sample(image, warp).pow(3).sum()

    def gradient(warp):
        warp = warp.detach().requires_grad_()
        return torch.autograd.grad(scalar(warp), warp)[0]

    direction = torch.randn(warp.shape, dtype=warp.dtype, generator=seeded(1))
    step = 1e-5
    with use_backend(backend):
        differences = gradient(warp + step * direction) - gradient(warp - step * direction)
        for name, way in SECOND_DERIVATIVES.items():
            torch.testing.assert_close(
                way(scalar, warp, direction),
                differences / (2 * step),
                rtol=1e-5,
                atol=1e-5,
                msg=lambda text, name=name: f'{name}: {text}',
            )


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', MODES)
def test_forward_mode_reaches_the_backward_pass(backend, mode):
    """Of samples that were taken before: the gradient is linear, so its tangent is known."""
    if backend == 'auto' and MODULE is not None:
        torch_must('carry tangents into the backward pass of an op')
    image, warp, sample = smooth_problem('affine', mode)
    with use_backend(backend):
        samples = sample(image.requires_grad_(), warp.requires_grad_())
    gradient, tangent = (torch.randn_like(samples) for _ in range(2))
    expected = torch.autograd.grad(samples, (image, warp), tangent, retain_graph=True)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(gradient, tangent)
        both = torch.autograd.grad(samples, (image, warp), dual)
        actual = [torch.autograd.forward_ad.unpack_dual(tensor).tangent for tensor in both]
    torch.testing.assert_close(tuple(actual), expected)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('mode', MODES)
def test_forward_mode(backend, ndim, mode):
    generator = seeded(0)
    image = torch.randn(1, 2, *(4, 5, 3)[:ndim], dtype=torch.float64, generator=generator)
    matrix = torch.eye(ndim, ndim + 1, dtype=torch.float64) + 0.1 * torch.randn(
        1, 2, ndim, ndim + 1, dtype=torch.float64, generator=generator
    )
    tangents = (torch.randn_like(image), torch.randn_like(matrix))

    def sample(image, matrix):
        return affine_grid_sample(image, matrix, (2,) * ndim, mode)

    step = 1e-6
    with use_backend(backend):
        _, tangent = torch.func.jvp(sample, (image, matrix), tangents)
        after, before = (
            sample(image + s * tangents[0], matrix + s * tangents[1]) for s in (step, -step)
        )
        torch.testing.assert_close(tangent, (after - before) / (2 * step), rtol=1e-5, atol=1e-6)
        for argnum in (0, 1):
            forward = torch.func.jacfwd(sample, argnum)(image, matrix)
            reverse = torch.func.jacrev(sample, argnum)(image, matrix)
            torch.testing.assert_close(forward, reverse)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('mode', MODES)
def test_vmap(backend, ndim, mode):
    generator = seeded(0)
    images = torch.randn(3, 2, 2, *(6, 5, 4)[:ndim], generator=generator)
    matrices = torch.eye(ndim, ndim + 1) + 0.1 * torch.randn(
        3, 2, 2, ndim, ndim + 1, generator=generator
    )

    def sample(image, matrix):
        return affine_grid_sample(image, matrix, (3,) * ndim, mode)

    with use_backend(backend):
        for dims in ((0, 0), (0, None), (None, 0)):
            arguments = [
                x if d == 0 else x[0] for x, d in zip((images, matrices), dims, strict=True)
            ]
            actual = torch.func.vmap(sample, in_dims=dims)(*arguments)
            for n in range(3):
                one = [x[n] if d == 0 else x for x, d in zip(arguments, dims, strict=True)]
                torch.testing.assert_close(actual[n], sample(*one), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('transform', ['grad', 'jacfwd', 'vmap'])
def test_torch_func_compiles_into_one_graph(backend, transform):
    torch_must('compile all of it into one graph')
    torch.compiler.reset()
    image, matrix = (tensor.detach() for tensor in problem())

    def scalar(matrix):
        return warp(image, matrix).square().sum()

    if transform == 'vmap':
        matrix = matrix[None]
    function = getattr(torch.func, transform)(scalar)
    with use_backend(backend):
        compiled = torch.compile(function, fullgraph=True, backend='aot_eager')
        torch.testing.assert_close(compiled(matrix), function(matrix), rtol=1e-4, atol=1e-4)


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


@pytest.mark.parametrize('backend', BACKENDS)
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


@pytest.mark.parametrize('backend', BACKENDS)
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


@pytest.mark.parametrize('backend', BACKENDS)
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


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_meta_and_fake_tensors_have_the_form_of_real_ones(backend, mode, source, layout):
    image, map = problem(source)
    image = image.detach().contiguous(memory_format=layout).requires_grad_()
    with use_backend(backend):
        real = forms(image, map, mode)
        assert forms(*(t.detach().to('meta').requires_grad_() for t in (image, map)), mode) == real
        with FakeTensorMode() as fakes:
            assert forms(*(fakes.from_tensor(t) for t in (image, map)), mode) == real


def forms(image, map, mode):
    """Of the samples and both gradients: shape, type and strides."""
    samples = warp(image, map, mode)
    gradients = torch.autograd.grad(samples.sum(), (image, map))
    return [(t.shape, t.dtype, t.stride()) for t in (samples, *gradients)]


@pytest.mark.parametrize('mode', MODES)
def test_meta_volumes(mode):
    volume = torch.empty(2, 3, 4, 5, 6, device='meta')
    matrix = torch.empty(2, 7, 4, 4, device='meta')
    assert affine_grid_sample(volume, matrix, (3, 2, 1), mode).shape == (2, 7, 3, 3, 2, 1)
