"""SpatialTransformer: localisation net, grid generator and sampler in one module."""

import inspect
import logging
import re
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import as_size, flag, number_in, positive_int
from mmstn.grid_generators import BaseGridGenerator, MatrixGridGenerator
from mmstn.ops import (
    SamplingKernel,
    affine_grid_sample,
    coordinate_dtype,
    grid_sample,
    regular_grid,
)
from mmstn.ops.checks import check_antialias, check_map, check_mode, check_size
from mmstn.registry import build_argument, find_type

from .loc_nets import BaseLocNet


@MODELS.register_module()
class SpatialTransformer(BaseModule):
    """A spatial transformer, section 3 of the paper: V = sample(U, T_theta(G)), theta = f_loc(U).

    It owns what its parts must agree on: the sizes, ``align_corners``, and where theta starts. Its
    child :attr:`theta` passes theta on as it is: a forward hook there hears it, whatever the
    localisation net is (see :func:`~mmstn.models.listen`).

    Args:
        loc_net: Config of a localisation net, or a module. One of mmstn (a
            :class:`~mmstn.models.BaseLocNet`) gives how far theta lies from its start. Any other
            module, (N, C, [D,] H, W) -> (N, P) or (N, K, P), gives theta itself, unless ``init``
            says where it starts. In a config ``num_params`` and ``num_transformers`` are filled in
            where the net takes them.
        grid_generator: Config of a grid generator, or a module.
        out_size: The size of V: (H', W') or (D', H', W'); a whole number for a square or a cube; a
            float above 0 and at most 8, such as 0.5 or 2.0, scales the size of U; None keeps it.
        num_transformers: K transformers that read the same map; None for one, with no axis K.
        mode: The sampling kernel, see :func:`mmstn.ops.grid_sample`.
        padding_mode: What lies outside U, see there.
        align_corners: The coordinate convention, see there.
        antialias: Whether to filter where the map shrinks U, or by how much it may, see
            :func:`mmstn.ops.affine_grid_sample`; for a ``MatrixGridGenerator`` of two dimensions
            and ``mode='bilinear'``.
        init: Where theta starts: ``'identity'``, ``'tile'`` (K windows that tile the map), or
            numbers, (P,) for all transformers alike or (K, P). None is the identity for a net of
            mmstn, and no start at all for a module that gives theta itself.
        init_cfg: mmengine's initialisation of the other layers.

    Attributes:
        start: Where theta starts, (P,) or (K, P), a buffer; None if ``loc_net`` gives theta itself.

    Raises:
        TypeError: If a part is neither a config nor a module.
        ValueError: If an option is unknown or sizes do not fit each other.

    Example:
        >>> st = SpatialTransformer(
        ...     loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
        ...     grid_generator=dict(type='AffineGridGenerator'),
        ... )
        >>> st(torch.rand(8, 1, 28, 28)).shape
        torch.Size([8, 1, 28, 28])
    """

    def __init__(
        self,
        loc_net: dict | nn.Module,
        grid_generator: dict | BaseGridGenerator,
        out_size: int | Sequence[int] | float | None = None,
        num_transformers: int | None = None,
        mode: str | SamplingKernel = 'bilinear',
        padding_mode: str = 'zeros',
        align_corners: bool = False,
        antialias: bool | float = False,
        init: str | Sequence | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_mode(mode, padding_mode)
        if num_transformers is not None:
            positive_int('num_transformers', num_transformers)
        self.num_transformers = num_transformers
        self.mode = mode
        self.padding_mode = padding_mode
        self.align_corners = flag('align_corners', align_corners)
        check_antialias(antialias)
        self.antialias = antialias
        self.grid_generator = _build('grid_generator', grid_generator)
        if not isinstance(self.grid_generator, BaseGridGenerator):
            raise TypeError(
                f'grid_generator must be a BaseGridGenerator, '
                f'got {type(self.grid_generator).__name__}'
            )
        if antialias and not (
            isinstance(self.grid_generator, MatrixGridGenerator)
            and self.grid_generator.ndim == 2
            and mode == 'bilinear'
        ):
            raise ValueError(
                "antialias needs a MatrixGridGenerator of two dimensions and mode 'bilinear', "
                f'got {type(self.grid_generator).__name__} and {mode!r}'
            )
        self.out_size = self._check_out_size(out_size)
        self.loc_net = self._build_loc_net(loc_net)
        if init is None and isinstance(self.loc_net, BaseLocNet):
            init = 'identity'
        self.register_buffer('start', None if init is None else self._start(init))
        self.theta = nn.Identity()

    def _build_loc_net(self, loc_net: dict | nn.Module) -> nn.Module:
        """The localisation net, for P and K of this transformer."""
        sizes = dict(
            num_params=self.grid_generator.num_params, num_transformers=self.num_transformers
        )
        is_config = isinstance(loc_net, dict)
        for name, needed in sizes.items():  # which a module of the user's own may not tell
            found = loc_net.get(name, needed) if is_config else getattr(loc_net, name, needed)
            if found != needed:
                raise ValueError(f'loc_net.{name} must be {needed}, got {found!r}')
        if is_config:
            kind = loc_net.get('type')
            kind = find_type(MODELS, kind) if isinstance(kind, str) else kind
            if inspect.isclass(kind):  # an unknown one is for the registry to complain about
                taken = (
                    sizes if issubclass(kind, BaseLocNet) else inspect.signature(kind).parameters
                )
                loc_net = {**loc_net, **{k: v for k, v in sizes.items() if k in taken}}
        return _build('loc_net', loc_net)

    def _check_out_size(self, out_size: int | Sequence[int] | float | None) -> tuple | float | None:
        """``out_size`` as a tuple, a factor or None."""
        if out_size is None:
            return None
        if isinstance(out_size, Real) and not isinstance(out_size, Integral):
            # No useful factor is larger: above, a side was meant.
            return float(number_in('out_size', out_size, '(0, 8]'))
        return as_size('out_size', out_size, self.grid_generator.ndim)

    def _start(self, init: str | Sequence) -> Tensor:
        """theta at the start, (P,) or (K, P)."""
        shape = (self.num_transformers or 1, self.grid_generator.num_params)
        if isinstance(init, str):
            if init == 'identity':
                start = self.grid_generator.identity_theta()
            elif init == 'tile':
                start = self.grid_generator.tiled_theta(shape[0])
            else:
                raise ValueError(f"init must be 'identity', 'tile' or numbers, got {init!r}")
        else:
            try:
                start = torch.as_tensor(init, dtype=torch.float32)
            except (TypeError, ValueError) as error:
                raise type(error)(f'init must be numbers, got {init!r}: {error}') from error
            if not start.isfinite().all():
                raise ValueError(f'init must be finite numbers, got {init!r}')
        if tuple(start.shape) not in (shape, shape[1:]):
            raise ValueError(
                f'init must be ({shape[1]},) or {shape} numbers, got shape {tuple(start.shape)}'
            )
        return start.expand(shape).reshape(self._theta_shape()).clone()

    def _theta_shape(self, *batch: int) -> tuple[int, ...]:
        """The shape of theta, (*batch, P) or (*batch, K, P)."""
        transformers = () if self.num_transformers is None else (self.num_transformers,)
        return (*batch, *transformers, self.grid_generator.num_params)

    def forward(self, x: Tensor, return_theta: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Samples what the localisation net points at.

        Args:
            x: The feature map U, (N, C, H, W), or (N, C, D, H, W) if the grid generator is for
                volumes.
            return_theta: Whether to give theta too.

        Returns:
            V, (N, C, H', W'), or (N, K, C, H', W') if ``num_transformers`` is a number; for volumes
            with D' before H'. With ``return_theta`` (V, theta), theta (N, P) or (N, K, P).

        Raises:
            TypeError: If ``x`` is not a floating-point tensor.
            ValueError: If ``x`` or theta has the wrong shape.
        """
        self._check_input(x)
        theta = self.loc_net(x)
        self._check_theta(theta, x)
        theta = self.theta(theta if self.start is None else self.start + theta)
        samples = self._sample(x, theta)
        return (samples, theta) if return_theta else samples

    def sample(self, x: Tensor, theta: Tensor) -> Tensor:
        """Samples ``x`` where ``theta`` says, see :meth:`forward` for the shapes."""
        self._check_input(x)
        self._check_theta(theta, x)
        return self._sample(x, theta)

    def _sample(self, x: Tensor, theta: Tensor) -> Tensor:
        out_size = self.get_out_size(x)
        options: dict[str, Any] = dict(
            mode=self.mode, padding_mode=self.padding_mode, align_corners=self.align_corners
        )
        if isinstance(self.grid_generator, MatrixGridGenerator):  # the sampler needs no grid then
            matrix = self.grid_generator.matrix(theta)
            return affine_grid_sample(x, matrix, out_size, antialias=self.antialias, **options)
        return grid_sample(x, self.grid_generator(theta, out_size, self.align_corners), **options)

    def to_input(self, points: Tensor, theta: Tensor) -> Tensor:
        """Where points of the output lie on the map that was read.

        Args:
            points: (N, M, 2), or (N, K, M, 2) if ``num_transformers`` is a number; normalised, (x,
                y), in the convention of ``align_corners``. For volumes (x, y, z).
            theta: From :meth:`forward`, (N, P) or (N, K, P).

        Returns:
            Points of the shape of ``points``.

        Raises:
            ValueError: If shapes do not fit each other.
            NotImplementedError: If the grid generator is of a family that defines grids alone.
        """
        return self.grid_generator.to_input(points, theta)

    def to_output(self, points: Tensor, theta: Tensor) -> Tensor:
        """Where points of the map that was read lie on the output, see :meth:`to_input`.

        The output ends at -1 and 1; NaN for a point that no point of the output goes to. Families
        without a closed form look for it, without gradients.
        """
        return self.grid_generator.to_output(points, theta)

    def unwarp(self, samples: Tensor, theta: Tensor, in_size: Sequence[int]) -> Tensor:
        """Lays maps in the frame of the output back onto the map that was read.

        It undoes :meth:`sample`, as far as the window shows the map; outside it is zero. So class
        activation maps, masks and boxes of a window get to where they belong in the image. Where
        several points of the output show one point of the map, as after a spline that folds over,
        one of them counts.

        Args:
            samples: (N, C, H', W'), or (N, K, C, H', W') if ``num_transformers`` is a number; for
                volumes with D' before H'. H' and W' need not be those of ``out_size``: both frames
                go from -1 to 1.
            theta: From :meth:`forward`, (N, P) or (N, K, P).
            in_size: (H, W) of the map, or (D, H, W).

        Returns:
            (N, C, H, W) or (N, K, C, H, W); for volumes with D before H.

        Raises:
            ValueError: If shapes do not fit each other.
            NotImplementedError: As in :meth:`to_input`.
        """
        in_size = check_size('in_size', in_size)
        ndim = self.grid_generator.ndim
        leading = tuple(theta.shape[:-1])
        if samples.dim() != len(leading) + 1 + ndim or tuple(samples.shape[: -1 - ndim]) != leading:
            raise ValueError(
                f'samples must be ({", ".join(map(str, leading))}, C) and {ndim} sizes for theta '
                f'{tuple(theta.shape)}, got shape {tuple(samples.shape)}'
            )
        dtype = coordinate_dtype(theta.dtype)
        points = regular_grid(in_size, self.align_corners, dtype, theta.device)
        points = self.to_output(points.flatten(0, -2).expand(*leading, -1, -1), theta)
        inside = (points.abs() <= 1).all(-1)  # not so where there is no inverse
        points = points.masked_fill(~inside[..., None], 0).flatten(0, -3).unflatten(1, in_size)
        maps = grid_sample(
            samples.flatten(0, len(leading) - 1), points, self.mode, 'border', self.align_corners
        )
        maps = maps.unflatten(0, leading)
        return maps * inside.unflatten(-1, in_size).unsqueeze(-1 - ndim).to(maps)

    def get_out_size(self, x: Tensor) -> tuple[int, ...]:
        """The size of V for a map ``x``."""
        if isinstance(self.out_size, tuple):
            return self.out_size
        scale = 1 if self.out_size is None else self.out_size
        return tuple(max(1, int(size * scale)) for size in x.shape[2:])

    def _check_input(self, x: Tensor) -> None:
        ndim = self.grid_generator.ndim
        if check_map('input', x) != ndim:
            raise ValueError(
                f'input must have {ndim} spatial dimensions for '
                f'{type(self.grid_generator).__name__}, got shape {tuple(x.shape)}'
            )

    def _check_theta(self, theta: Tensor, x: Tensor) -> None:
        if not isinstance(theta, Tensor):
            raise TypeError(f'theta from loc_net must be a tensor, got {type(theta).__name__}')
        shape = self._theta_shape(x.shape[0])
        if tuple(theta.shape) != shape:
            raise ValueError(f'theta from loc_net must be {shape}, got shape {tuple(theta.shape)}')

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Refuses a checkpoint without :attr:`start`, which would give another theta."""
        own = f'{prefix}loc_net.'
        if (self.start is None) == (f'{prefix}start' in state_dict):
            if isinstance(self.loc_net, BaseLocNet):
                self._take_start_off_the_bias(state_dict, own)
            elif (names := self.loc_net.state_dict()) and all(
                f'{own}{n}' in state_dict for n in names
            ):
                gave, no = ('offsets', '') if self.start is None else ('theta itself', 'no ')
                raise RuntimeError(
                    f'In this checkpoint {own[:-1]} gave {gave}, since it has {no}{prefix}start; '
                    f'load it into a model built {"without" if no else "with"} init.'
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _take_start_off_the_bias(self, state_dict: dict, own: str) -> None:
        """Converts an old checkpoint, in which the last layer's bias began at theta's start."""
        regression = re.compile(re.escape(own) + r'(?:loc_nets\.(\d+)\.)?regression\.bias')
        for key in list(state_dict):
            found = regression.fullmatch(key)
            if found is None:
                continue
            start = self.start if found[1] is None else self.start[int(found[1])]
            start = start.flatten().to(state_dict[key])
            if start.shape != state_dict[key].shape:
                continue  # loading reports it
            state_dict[key] = state_dict[key] - start
            state_dict[own.removesuffix('loc_net.') + 'start'] = self.start
            print_log(
                f'{key} comes from a checkpoint in which it held the start of theta too. The start '
                f'of this model, {start.tolist()}, was taken off it, so that theta stays the same.',
                'current',
                logging.WARNING,
            )

    def extra_repr(self) -> str:
        """The options that are not modules."""
        names = ['out_size', 'num_transformers', 'mode', 'padding_mode', 'align_corners']
        names += ['antialias'] if self.antialias else []
        return ', '.join(f'{name}={getattr(self, name)!r}' for name in names)


def _build(name: str, part: dict | nn.Module) -> nn.Module:
    """A part of the module from its config."""
    return build_argument(name, part, MODELS, nn.Module, 'a module')


def build_transformer(
    cfg: dict | SpatialTransformer, name: str = 'transformer'
) -> SpatialTransformer:
    """The argument ``name``: a transformer from its config, without ``type`` too, or as it is."""
    if isinstance(cfg, dict):
        cfg = {'type': 'mmpretrain.SpatialTransformer', **cfg}
    return build_argument(name, cfg, MODELS, SpatialTransformer, 'a SpatialTransformer')
