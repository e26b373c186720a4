"""What benchmarks/sampler.py measures: shapes and maps, and those who sample them."""

import importlib.util
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mmstn.models import TPSGridGenerator
from mmstn.ops import affine_grid_sample, grid_sample, matrix_grid


@dataclass(frozen=True)
class Case:
    """U (N, C, H, W) and K maps an image, to H' x W'."""

    name: str
    shape: tuple[int, int, int, int]
    out_size: tuple[int, int]
    k: int = 1
    scale: float = 1.0  # 0.5: a window half as wide as the map
    degrees: float | None = None  # random and small without it
    channels_last: bool = False
    grid: str = (
        ''  # a dense grid instead of matrices: of a thin-plate 'spline', or theirs, 'turned'
    )
    mode: str = 'bilinear'


# The cases of the design: digits, house numbers, a feature map, birds, a map of many channels.
A = Case('a', (256, 1, 60, 60), (28, 28), scale=0.5)
B = Case('b', (128, 3, 64, 64), (64, 64))
C = Case('c', (128, 48, 32, 32), (32, 32))
D = Case('d', (8, 3, 448, 448), (224, 224), k=4, scale=0.5)
E = Case('e', (16, 256, 28, 28), (14, 14), k=2, scale=0.5)
MAIN = [A, B, C, D, E]
TINY = [
    Case('tiny maps', (256, 32, 4, 4), (4, 4)),
    Case('one digit', (1, 1, 28, 28), (28, 28)),
]
OTHERS = [
    *(replace(case, name=f'{case.name} channels_last', channels_last=True) for case in MAIN[1:]),
    *(replace(case, name=f'{case.name} turned by 90', degrees=90) for case in (C, D)),
    *(replace(case, name=f'{case.name} scale 0.3', scale=0.3) for case in (B, C, E)),
    Case('large map', (2, 64, 224, 224), (224, 224)),
    Case('large map to 28x28', (2, 64, 224, 224), (28, 28)),
    *TINY,
]
GRIDS = [replace(case, name=f'{case.name} TPS grid', grid='spline') for case in MAIN]


def sweep(seed: int, count: int) -> list[Case]:
    """Random problems from single pixels to 4096 x 4096, the same ones for the same seed."""
    draw = random.Random(seed)
    cases: list[Case] = []
    while len(cases) < count:
        n, k = round(2 ** draw.uniform(0, 6)), draw.choice([1, 1, 2, 3, 4])
        c = draw.choice([1, 1, 2, 3, 3, 4, 5, 8, 12, 16, 24, 32, 64, 100, 128, 256])
        h, w = (round(2 ** draw.uniform(0, 12)) for _ in range(2))
        out_size = tuple(round(2 ** draw.uniform(0, 9)) for _ in range(2))
        scale, degrees = 2 ** draw.uniform(-5, 1), draw.uniform(-180, 180)
        mode = draw.choice(['nearest', 'bilinear', 'bilinear', 'bicubic'])
        last, grid = draw.random() < 0.25, draw.random() < 0.2
        if n * k * c * math.prod(out_size) > 2**21 or n * c * h * w > 2**24:
            continue
        name = f'{n}x{c}x{h}x{w} to {k}x{out_size[0]}x{out_size[1]}, {scale:.2f}, {degrees:.0f}, '
        name += mode + ', channels_last' * last + ', grid' * grid
        cases.append(
            Case(name, (n, c, h, w), out_size, k, scale, degrees, last, 'turned' * grid, mode)
        )
    return cases


@dataclass
class Problem:
    """The tensors of a case."""

    case: Case
    image: Tensor  # (N, C, H, W)
    map: Tensor  # (N, K, 2, 3) or (N, K, H', W', 2)
    gradient: Tensor  # (N, K, C, H', W')

    @property
    def touched(self) -> int:
        """How many pixels of the images are read, in one channel."""
        n, _, h, w = self.image.shape
        ones = torch.ones(n, 1, h, w, device=self.image.device, requires_grad=True)
        (weights,) = torch.autograd.grad(ours(replace(self, image=ones)).sum(), ones)
        return int(weights.count_nonzero())


def make_problem(case: Case, device: str, dtype: torch.dtype, seed: int = 0) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    n, c = case.shape[:2]
    image = torch.randn(case.shape, generator=generator)
    if case.degrees is None:
        angle = (torch.rand(n, case.k, generator=generator) * 2 - 1) * math.radians(15)
        shift = (torch.rand(n, case.k, 2, generator=generator) * 2 - 1) * (1.1 - case.scale)
    else:  # alike in all images
        angle = torch.full((n, case.k), math.radians(case.degrees))
        # Off the lattice, where 'nearest' here and in PyTorch round a half to different sides.
        shift = torch.full((n, case.k, 2), 0.013 if case.degrees % 90 else 0.0)
    cos, sin = case.scale * angle.cos(), case.scale * angle.sin()
    matrix = torch.stack([cos, -sin, shift[..., 0], sin, cos, shift[..., 1]], -1)
    map = matrix.unflatten(-1, (2, 3))
    if case.grid == 'turned':
        map = matrix_grid(map, case.out_size)
    elif case.grid:
        tps = TPSGridGenerator()
        theta = tps.identity_theta().expand(n, case.k, -1)
        theta = theta * case.scale + 0.05 * torch.randn(theta.shape, generator=generator)
        map = tps(theta, case.out_size, False)
    gradient = torch.randn(n, case.k, c, *case.out_size, generator=generator)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    image = image.to(device, dtype).contiguous(memory_format=layout)
    return Problem(case, image, map.to(device).contiguous(), gradient.to(device, dtype))


def ours(p: Problem) -> Tensor:
    if p.case.grid:
        return grid_sample(p.image, p.map, p.case.mode)
    return affine_grid_sample(p.image, p.map, p.case.out_size, p.case.mode)


def grid_of(p: Problem, map: Tensor) -> Tensor:
    """The grid of maps (n, ...), n images of which one or several belong to one of the batch."""
    if p.case.grid:
        return map
    return F.affine_grid(map, [len(map), p.image.shape[1], *p.case.out_size], align_corners=False)


def pytorchs(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return F.grid_sample(image, grid.to(image.dtype), mode, align_corners=False)


def repeated(p: Problem, sample: Callable = pytorchs) -> Tensor:
    """PyTorch's sampler with the image copied for each transformer, as users write it."""
    image = p.image.repeat_interleave(p.case.k, 0) if p.case.k > 1 else p.image
    grid = grid_of(p, p.map.flatten(0, 1))
    samples = sample(image, grid, p.case.mode)
    return samples.unflatten(0, (-1, p.case.k))


def looped(p: Problem) -> Tensor:
    """PyTorch's sampler with one call for each transformer."""
    samples = [pytorchs(p.image, grid_of(p, map), p.case.mode) for map in p.map.unbind(1)]
    return torch.stack(samples, 1)


def mmcvs() -> Callable[[Problem], Tensor] | None:
    """mmcv's sampler in plain PyTorch; its file alone, as mmcv.ops needs compiled ops."""
    spec = importlib.util.find_spec('mmcv')
    file = Path(spec.origin).parent / 'ops/point_sample.py' if spec else Path()
    if not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location('point_sample', file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sample = module.bilinear_grid_sample
    return lambda p: repeated(
        p, lambda image, grid, _: sample(image, grid.to(image.dtype), align_corners=False)
    )


def kornias() -> Callable[[Problem], Tensor] | None:
    """kornia's warp_affine, whose matrices map pixels of the image to pixels of the output."""
    try:
        from kornia.geometry.transform import warp_affine
    except ImportError:
        return None

    def sample(p: Problem) -> Tensor:
        if p.case.grid:
            raise NotImplementedError
        image = p.image.repeat_interleave(p.case.k, 0) if p.case.k > 1 else p.image
        samples = warp_affine(image, p.map.flatten(0, 1), p.case.out_size, align_corners=True)
        return samples.unflatten(0, (-1, p.case.k))

    return sample


def to_pixel_matrix(p: Problem) -> Tensor:
    """The maps as kornia takes them, (N, K, 2, 3): inverted, and between pixels."""

    def pixels(height: int, width: int) -> Tensor:  # from pixels to normalised coordinates
        return torch.tensor(
            [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]],
            dtype=torch.float64,
        )

    bottom = torch.tensor([0.0, 0, 1], dtype=torch.float64).expand(*p.map.shape[:2], 1, 3)
    full = torch.cat([p.map.double().cpu(), bottom], 2)
    to_input = pixels(*p.image.shape[2:]).inverse() @ full @ pixels(*p.case.out_size)
    return to_input.inverse()[..., :2, :].to(p.map)
