"""BaseLocNet: what localisation nets share; they regress how far theta lies from its start."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmstn.checks import positive_int
from mmstn.ops.grids import without_autocast


class OffsetRegression(nn.Linear):
    """The last layer of a localisation net: it begins at zero, weights and bias.

    So theta begins where :class:`~mmstn.models.SpatialTransformer` lets it start (section 3.1 of
    the paper), and weight decay pulls it there and not to a window of size zero. The zeros survive
    whatever a parent's ``init_cfg`` does to linear layers, since mmengine lets children have the
    last word (a checkpoint comes after it). The layer computes in float32 under autocast: half
    precision moves sampling points by up to a fifth of a pixel.
    """

    def reset_parameters(self) -> None:
        """Sets weights and bias to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    init_weights = reset_parameters

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_features) -> offsets (N, out_features), in the type of the parameters."""
        with without_autocast(x.device.type):
            return super().forward(x.to(self.weight.dtype))


class BaseLocNet(BaseModule):
    """A localisation network f_loc (section 3.1 of the paper), which gives theta - its start.

    Your own net builds its layers, calls :meth:`build_regression` with the size of the last
    one, and defines :meth:`features`. It need not be one of these: any module that gives theta will
    do, see :class:`~mmstn.models.SpatialTransformer`.

    Args:
        num_params: P, how many numbers the grid generator takes.
        num_transformers: K transformers served by this one net; None for one, with no axis K.
        init_cfg: mmengine's initialisation of the other layers.

    Raises:
        TypeError: If a number is not whole.
        ValueError: If it is not positive.
    """

    def __init__(
        self,
        num_params: int,
        num_transformers: int | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.num_params = positive_int('num_params', num_params)
        if num_transformers is not None:
            positive_int('num_transformers', num_transformers)
        self.num_transformers = num_transformers

    def build_regression(self, in_features: int) -> None:
        """Makes the last layer, :attr:`regression`, for features of size ``in_features``."""
        self.regression = OffsetRegression(
            in_features, (self.num_transformers or 1) * self.num_params
        )

    def features(self, x: Tensor) -> Tensor:
        """The hidden layers: U (N, C, [D,] H, W) -> (N, in_features)."""
        raise NotImplementedError(f'{type(self).__name__} must define features')

    def forward(self, x: Tensor) -> Tensor:
        """How far the parameters of the transform lie from their start.

        Args:
            x: The feature map U, (N, C, [D,] H, W).

        Returns:
            Offsets of theta, (N, P), or (N, K, P) if ``num_transformers`` is a number; never in
            half precision under autocast.
        """
        offset = self.regression(self.features(x))
        if self.num_transformers is None:
            return offset
        return offset.reshape(offset.shape[0], self.num_transformers, self.num_params)


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
