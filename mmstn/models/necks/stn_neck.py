"""STNNeck: spatial transformers as a neck."""

from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.checks import one_of, sizes

from ..spatial_transformer import SpatialTransformer, build_transformer


@MODELS.register_module()
class STNNeck(BaseModule):
    """Spatial transformers on the feature maps that a backbone gives.

    It goes before a pooling neck: ``neck=[dict(type='STNNeck', ...), dict(type=
    'GlobalAveragePooling')]``.

    Args:
        transformer: Config of a :class:`~mmstn.models.SpatialTransformer` (its ``type`` may be left
            out), or one for each of ``stages``.
        stages: Which of the backbone's outputs are transformed, by index; the others pass through.
        fusion: What becomes of K parallel views (N, K, C, H', W'): ``'concat'`` along channels,
            (N, K * C, H', W'), or ``'stack'``, left as they are. Without K there is nothing to
            fuse.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``fusion`` is unknown or the number of configs does not fit ``stages``; in
            ``forward``, if the backbone has no such stage.
    """

    def __init__(
        self,
        transformer: dict | SpatialTransformer | Sequence[dict | SpatialTransformer],
        stages: int | Sequence[int] = -1,
        fusion: str = 'concat',
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.fusion = one_of('fusion', fusion, ('concat', 'stack'))
        stages = (stages,) if isinstance(stages, int) else stages
        self.stages = sizes('stages', stages, low=None)
        transformers = transformer if isinstance(transformer, Sequence) else [transformer]
        if not self.stages or len(transformers) != len(self.stages):
            raise ValueError(
                f'transformer must be one config for each of stages {self.stages}, '
                f'got {len(transformers)}'
            )
        self.transformers = ModuleList(build_transformer(cfg) for cfg in transformers)

    def forward(self, inputs: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """Transforms the chosen stages.

        Args:
            inputs: One feature map (N, C, H, W), or a tuple of them.

        Returns:
            The same with the maps of ``stages`` replaced by what their transformers sample.
        """
        single = isinstance(inputs, Tensor)
        maps = [inputs] if single else list(inputs)
        for stage, transformer in zip(self.stages, self.transformers, strict=True):
            if not -len(maps) <= stage < len(maps):
                raise ValueError(f'stages must lie within the {len(maps)} inputs, got {stage}')
            samples = transformer(maps[stage])
            if self.fusion == 'concat' and transformer.num_transformers is not None:
                samples = samples.flatten(1, 2)
            maps[stage] = samples
        return maps[0] if single else tuple(maps)
