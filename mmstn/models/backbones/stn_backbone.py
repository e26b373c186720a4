"""A wrapper that gives any registered backbone spatial transformers."""

from __future__ import annotations

from functools import partial

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.registry import build_part

from ..loc_nets import BackboneLocNet
from ..spatial_transformer import SpatialTransformer, build_transformer
from .fusion import FUSIONS, fuse


@MODELS.register_module()
class STNBackbone(BaseModule):
    """Any registered backbone with spatial transformers in front of it, inside it, or both.

    In front (section 4.3 of the paper): K parallel transformers cut K views out of the image, one
    stream of the backbone describes each, and the descriptors are fused. Inside (section 4.2): a
    transformer warps the feature map that a child of the backbone takes; parameters of the backbone
    keep their names.

    A checkpoint of the plain backbone (``backbone.layer1...`` of an mmpretrain classifier) loads
    into every stream as it is, and into a localisation net that is made of the same backbone.

    Args:
        backbone: Config of a registered backbone.
        transformer: Config of the :class:`~mmstn.models.SpatialTransformer` in front; its ``type``
            may be left out. None for none.
        insert: Configs of transformers by the name of the child that each stands in front of, such
            as ``{'layer3': dict(...)}``, or ``'stages.2'`` for a child's child. The views of K
            parallel ones are concatenated along channels, (N, K * C, H', W'). Each stream has its
            own.
        streams: Whether K views go through one ``'shared'`` backbone or K ``'separate'`` ones.
        fusion: How the streams' outputs become one: ``'concat'`` along channels in the order of the
            transformers (the paper's), ``'mean'`` or ``'max'``.
        with_global: Whether the whole image, scaled to the size of the views, is one more view (the
            last).
        init_cfg: mmengine's initialisation. ``dict(type='Pretrained', checkpoint=..., prefix=
            'backbone.')`` loads a plain classifier's checkpoint here too.

    Raises:
        TypeError: If ``backbone`` is no config.
        ValueError: If an option is unknown, there is no transformer at all, or ``insert`` names a
            child that does not exist or is never called.
    """

    def __init__(
        self,
        backbone: dict,
        transformer: dict | SpatialTransformer | None = None,
        insert: dict[str, dict | SpatialTransformer] | None = None,
        streams: str = 'shared',
        fusion: str = 'concat',
        with_global: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(backbone, dict):
            raise TypeError(f'backbone must be a config (dict), got {type(backbone).__name__}')
        if streams not in ('shared', 'separate'):
            raise ValueError(f"streams must be 'shared' or 'separate', got {streams!r}")
        if fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {tuple(FUSIONS)}, got {fusion!r}')
        if transformer is None and not insert:
            raise ValueError('transformer and insert are both empty: there is no ST to add')
        if transformer is None and (with_global or streams == 'separate'):
            raise ValueError("with_global and streams='separate' need a transformer in front")
        self.fusion = fusion
        self.with_global = with_global
        self.transformer = None if transformer is None else build_transformer(transformer)
        num_views = 1
        if self.transformer is not None:
            num_views = (self.transformer.num_transformers or 1) + with_global
        num_streams = num_views if streams == 'separate' else 1
        self.streams = ModuleList(build_part(MODELS, backbone) for _ in range(num_streams))
        self.inserted = ModuleList(_insert(stream, insert or {}) for stream in self.streams)
        self._register_load_state_dict_pre_hook(self._from_plain_checkpoint)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor | None, ...]:
        """Describes the image through its transformers.

        Args:
            x: Images, (N, C, H, W).

        Returns:
            What the backbone returns for one image, a tensor or a tuple of them, with channels K
            times as many if K > 1 streams are concatenated.
        """
        if self.transformer is None:
            return self.streams[0](x)
        views = self.transformer(x)  # (N, K, C, H', W')
        if self.transformer.num_transformers is None:
            views = views[:, None]
        if self.with_global:
            whole = F.interpolate(x, views.shape[3:], mode='bilinear', antialias=True)
            views = torch.cat([views, whole[:, None]], dim=1)
        return fuse(self.streams, views, self.fusion)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """The depth of a parameter for layer-wise learning rate decay, as the backbone counts it.

        Transformers are new and learn at the rate of the last layer.

        Args:
            param_name: Full name of the parameter.
            prefix: The part of it that leads to this module.

        Returns:
            The depth and the number of depths.

        Raises:
            NotImplementedError: If the backbone has no such count.
        """
        if not hasattr(self.streams[0], 'get_layer_depth'):
            raise NotImplementedError(
                f'{type(self.streams[0]).__name__} does not support `get_layer_depth`'
            )
        for index, stream in enumerate(self.streams):
            own = f'{prefix}streams.{index}.'
            if param_name.startswith(own):  # some backbones count on the plain name
                return stream.get_layer_depth(prefix + param_name[len(own) :], prefix)
        # Backbones take a name without the prefix to stand behind their last layer.
        return self.streams[0].get_layer_depth('', prefix or 'backbone.')

    def _from_plain_checkpoint(self, state_dict: dict, prefix: str, *args) -> None:
        """Gives every stream the tensors of a plain backbone, which know no streams."""
        own = tuple(f'{prefix}{name}.' for name in self._modules)
        plain = {
            key[len(prefix) :]: state_dict.pop(key)
            for key in list(state_dict)
            if key.startswith(prefix) and not key.startswith(own)
        }
        targets = {f'streams.{index}': plain for index in range(len(self.streams))}
        targets['transformer.loc_net.backbone'] = _own_names(self.transformer, plain)
        for target, names in targets.items():
            for name in names:
                state_dict.setdefault(f'{prefix}{target}.{name}', plain[name])


def _own_names(transformer: SpatialTransformer | None, plain: dict[str, Tensor]) -> list[str]:
    """What the localisation net takes of ``plain``: all it has, if it is made of that backbone."""
    loc_net = getattr(transformer, 'loc_net', None)
    if not isinstance(loc_net, BackboneLocNet):
        return []
    own = loc_net.backbone.state_dict()
    fits = all(name in plain and plain[name].shape == own[name].shape for name in own)
    return list(own) if fits else []


def _insert(backbone: nn.Module, insert: dict[str, dict | SpatialTransformer]) -> ModuleDict:
    """Puts transformers in front of children of ``backbone`` and returns them by name."""
    modules = dict(backbone.named_modules())
    transformers = ModuleDict()
    for name, cfg in insert.items():
        child = modules.get(name)
        if not name or child is None or isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            children = ', '.join(child_name for child_name, _ in backbone.named_children())
            why = 'is a list whose items are called instead' if child else 'does not exist'
            raise ValueError(
                f'insert must name children of {type(backbone).__name__}, {name!r} {why}; '
                f'its children are: {children}'
            )
        transformer = build_transformer(cfg)
        transformers[name.replace('.', '_')] = transformer
        # A hook leaves the child's name alone. It holds the transformer itself, so that a deep
        # copy of the model (EMA makes one) holds the copy's.
        child.register_forward_pre_hook(partial(_transform_input, transformer))
    return transformers


def _transform_input(
    transformer: SpatialTransformer, child: nn.Module, args: tuple
) -> tuple[Tensor, ...]:
    """Replaces the map that ``child`` is called with by what ``transformer`` samples from it."""
    samples = transformer(args[0])
    if transformer.num_transformers is not None:
        samples = samples.flatten(1, 2)
    return (samples, *args[1:])
