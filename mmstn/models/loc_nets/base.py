"""What all localisation networks share: the regression layer that gives theta, and its start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.ops.coordinates import without_autocast


class ThetaRegression(nn.Linear):
    """The last layer of a localisation net: theta = W x + b with W = 0 and b = the start.

    That start is part of the method (section 3.1 of the paper), not a matter of taste: it survives
    whatever a parent's ``init_cfg`` does to linear layers, as mmengine lets children have the last
    word (a checkpoint comes after it). The layer computes in float32 under autocast, since half
    precision moves sampling points by up to a fifth of a pixel.

    Args:
        in_features: Size of the last hidden layer.
        start: theta at the start, all transformers in one row, shape (K * P,).
    """

    def __init__(self, in_features: int, start: Tensor) -> None:
        super().__init__(in_features, start.numel())
        self.register_buffer('start', start.clone(), persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Sets weights to zero and the bias to the start."""
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.bias.copy_(self.start)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_features) -> theta (N, K * P), in the type of the parameters."""
        with without_autocast(x.device.type):
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class BaseLocNet(BaseModule):
    """A localisation network f_loc: U -> theta (section 3.1 of the paper).

    A net of one's own builds its layers, calls :meth:`build_regression` with the size of the last
    one, and defines :meth:`features`.

    Args:
        num_params: P, how many numbers the grid generator takes.
        num_transformers: K transformers served by this one net; None for one, with no axis K.
        start: theta at the start, (P,) for all transformers alike or (K, P). Zeros by default;
            :class:`~mmstn.models.SpatialTransformer` fills in what its ``init`` asks for.
        init_cfg: mmengine's initialisation of the other layers.

    Raises:
        ValueError: If a number is not positive or ``start`` has another shape.
    """

    def __init__(
        self,
        num_params: int,
        num_transformers: int | None = None,
        start: Tensor | Sequence | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, number in dict(num_params=num_params, num_transformers=num_transformers).items():
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f'{name} must be a whole number >= 1, got {number!r}')
        self.num_params = num_params
        self.num_transformers = num_transformers
        shape = (num_transformers or 1, num_params)
        start = torch.zeros(shape) if start is None else torch.as_tensor(start, dtype=torch.float32)
        if tuple(start.shape) not in (shape, shape[1:]):
            raise ValueError(
                f'start must be ({num_params},) or ({shape[0]}, {num_params}), '
                f'got shape {tuple(start.shape)}'
            )
        self._start = start.expand(shape).flatten()

    def build_regression(self, in_features: int) -> None:
        """Makes the last layer, :attr:`regression`, for features of size ``in_features``."""
        self.regression = ThetaRegression(in_features, self._start)

    def features(self, x: Tensor) -> Tensor:
        """The hidden layers: U (N, C, [D,] H, W) -> (N, in_features)."""
        raise NotImplementedError(f'{type(self).__name__} must define features')

    def forward(self, x: Tensor) -> Tensor:
        """The parameters of the transform.

        Args:
            x: The feature map U, (N, C, [D,] H, W).

        Returns:
            theta, (N, P), or (N, K, P) if ``num_transformers`` is a number; never in half precision
            under autocast.
        """
        theta = self.regression(self.features(x))
        if self.num_transformers is None:
            return theta
        return theta.unflatten(1, (self.num_transformers, self.num_params))


def check_input(
    loc_net: BaseLocNet, x: Tensor, in_channels: int, in_size: Sequence[int] | None
) -> None:
    """Raises a ValueError if a net is given another map than the one it was built for."""
    if x.shape[1] != in_channels or (in_size is not None and tuple(x.shape[2:]) != tuple(in_size)):
        size = '' if in_size is None else f', in_size={tuple(in_size)}'
        raise ValueError(
            f'{type(loc_net).__name__} was built for maps of in_channels={in_channels}{size}, '
            f'got input of shape {tuple(x.shape)}'
        )
