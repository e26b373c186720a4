"""STNBackbone: any registered backbone with spatial transformers."""

import re
from collections.abc import Iterable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.checks import flag, instance_of, one_of
from mmstn.ops.torch_backend import is_compiling
from mmstn.registry import build_argument

from ..loc_nets import BackboneLocNet
from ..spatial_transformer import SpatialTransformer, build_transformer
from .fusion import FUSIONS, fuse


@MODELS.register_module()
class STNBackbone(BaseModule):
    """Any registered backbone with spatial transformers before it, inside it, or both.

    Before it (section 4.3 of the paper): K parallel transformers cut K views out of the image, one
    stream of the backbone describes each, and the descriptors are fused. Inside (section 4.2): a
    transformer warps the feature map that a child of the backbone takes; parameters of the backbone
    keep their names.

    A checkpoint of the plain backbone (``backbone.layer1...`` of an mmpretrain classifier) loads
    into every stream as it is, and into a localisation net that is made of the same backbone. What
    else a backbone offers (``out_indices``, ``num_extra_tokens``, ...) is there too: attributes are
    those of the first stream, and ``switch_to_deploy`` goes through all.

    Names:
        ``transformer`` is the one before all, ``before.layer3`` that before ``layer3``, and
        ``streams.0.layer3`` the layer; with separate streams ``before.layer3_0`` is that of the
        first.

    Args:
        backbone: Config of a registered backbone.
        transformer: Config of the :class:`~mmstn.models.SpatialTransformer` before it; its ``type``
            may be left out. None for none.
        insert: Configs of transformers by the name of the child that each stands before, such as
            ``{'layer3': dict(...)}``, or ``'stages.2'`` for a child's child; not before a batch
            normalisation, which is replaced when it is synchronised or fused. The views of K
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
            child that does not exist or that none can stand before; in the first ``forward``, if
            it names one that the backbone never calls.
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
        instance_of('backbone', backbone, dict, 'a config (dict)')
        insert = {} if insert is None else insert
        instance_of('insert', insert, dict, 'configs by name (dict) or None')
        one_of('streams', streams, ('shared', 'separate'))
        one_of('fusion', fusion, FUSIONS)
        flag('with_global', with_global)
        if transformer is None and not insert:
            raise ValueError('transformer and insert are both empty: there is no ST to add')
        if transformer is None and (with_global or streams == 'separate'):
            raise ValueError("with_global and streams='separate' need a transformer")
        self.fusion = fusion
        self.with_global = with_global
        self.transformer = None if transformer is None else build_transformer(transformer)
        num_views = 1
        if self.transformer is not None:
            num_views = (self.transformer.num_transformers or 1) + with_global
        num_streams = num_views if streams == 'separate' else 1
        self.before = ModuleDict()  # ahead of the streams: tools take the last layer of all modules
        self.streams = ModuleList(
            build_argument('backbone', backbone, MODELS, nn.Module, 'a backbone')
            for _ in range(num_streams)
        )
        self.insert = tuple(insert)
        self._called: list[str] = []  # transformers inside that ran in this forward pass
        self._checked = False
        for index, stream in enumerate(self.streams):
            for name, cfg in insert.items():
                child = _child(stream, name)
                key = self._key(name, index)
                self.before[key] = build_transformer(cfg, f'insert[{name!r}]')
                # A hook leaves the child's name alone. It holds modules themselves, so that a deep
                # copy of the model (EMA makes one) holds the copy's.
                child.register_forward_pre_hook(partial(_transform_input, self, key))

    def _key(self, name: str, stream: int) -> str:
        """The name in ``before`` of the transformer before a child of a stream."""
        return name.replace('.', '_') + (f'_{stream}' if len(self.streams) > 1 else '')

    def inserted(self, stream: int) -> list[SpatialTransformer]:
        """The transformers inside a stream."""
        return [self.before[self._key(name, stream)] for name in self.insert]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor | None, ...]:
        """Describes the image through its transformers.

        Args:
            x: Images, (N, C, H, W).

        Returns:
            What the backbone returns for one image, a tensor or a tuple of them, with channels K
            times as many if K > 1 streams are concatenated.
        """
        self._called = []  # a new one: compiled code need not know the old one
        if self.transformer is None:
            outputs = self.streams[0](x)
        else:
            views = self.transformer(x)  # (N, K, C, H', W')
            if self.transformer.num_transformers is None:
                views = views[:, None]
            if self.with_global:
                whole = F.interpolate(x, views.shape[3:], mode='bilinear', antialias=True)
                views = torch.cat([views, whole[:, None]], dim=1)
            outputs = fuse(self.streams, views, self.fusion)
        if is_compiling():  # no note is taken, since a change of it would compile all once more
            self._check_calls()
        elif not self._checked:
            self._check_calls()
            self._checked = True
        return outputs

    def _check_calls(self) -> None:
        """Raises an error about transformers inside that did not run."""
        stream = self.streams[0]
        for name in self.insert:
            if self._key(name, 0) not in self._called:
                child = dict(stream.named_modules()).get(name, nn.Identity())
                items = ', '.join(f'{name}.{item}' for item, _ in child.named_children())
                raise ValueError(
                    f'insert must name what {type(stream).__name__} calls, got {name!r}, which it '
                    f'never calls{": it may call the items instead: " + items if items else ""}'
                )

    def __getattr__(self, name: str) -> Any:
        """What the backbone offers, for tools that look into ``model.backbone``.

        What acts or holds parameters is only there if a single stream has it all.
        """
        try:
            return super().__getattr__(name)
        except AttributeError:
            streams = self.__dict__.get('_modules', {}).get('streams')
            if name.startswith('_') or not streams or not hasattr(streams[0], name):
                raise
            found = getattr(streams[0], name)
            if name == 'switch_to_deploy':
                return self._switch_to_deploy
            if len(streams) > 1 and (callable(found) or isinstance(found, Tensor)):
                raise
            return found

    def _switch_to_deploy(self) -> None:
        for stream in self.streams:
            stream.switch_to_deploy()
        self._checked = False  # a branch may have gone, and its transformer with it

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
        # Backbones take a name without the prefix to come after their last layer.
        return self.streams[0].get_layer_depth('', prefix or 'backbone.')

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Gives every stream the tensors of a plain backbone, which know no streams."""
        for key in list(state_dict):  # as version 0.1 called the transformers inside
            old = re.fullmatch(rf'{re.escape(prefix)}inserted\.(\d+)\.(\w+)\.(.*)', key)
            if old and self._key(old[2], int(old[1])) in self.before:
                state_dict[f'{prefix}before.{self._key(old[2], int(old[1]))}.{old[3]}'] = (
                    state_dict.pop(key)
                )
        names = {key[len(prefix) :]: key for key in state_dict if key.startswith(prefix)}
        own, of_plain = self.state_dict().keys(), self.streams[0].state_dict().keys()
        is_own = any(name in own and name not in of_plain for name in names)
        parts = tuple(f'{name}.' for name in self._modules)

        def is_plain(name: str) -> bool:  # the backbone may have children called as ours are
            if name in of_plain:
                return not (name in own and is_own)
            return not (name in own or name.startswith(parts))

        plain = {n: state_dict.pop(key) for n, key in names.items() if is_plain(n)}
        targets: dict[str, Iterable[str]] = {
            f'streams.{i}': plain for i in range(len(self.streams))
        }
        targets['transformer.loc_net.backbone'] = _own_names(self.transformer, plain)
        for target, taken in targets.items():
            for name in taken:
                # load_state_dict(assign=True) would let them share one tensor.
                state_dict.setdefault(f'{prefix}{target}.{name}', deepcopy(plain[name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _own_names(transformer: SpatialTransformer | None, plain: dict[str, Tensor]) -> list[str]:
    """What the localisation net takes of ``plain``: all it has, if it is made of that backbone."""
    loc_net = getattr(transformer, 'loc_net', None)
    if not isinstance(loc_net, BackboneLocNet):
        return []
    own = loc_net.backbone.state_dict()
    fits = all(name in plain and plain[name].shape == own[name].shape for name in own)
    return list(own) if fits else []


def _child(backbone: nn.Module, name: str) -> nn.Module:
    """The child that a transformer is to stand before."""
    child = dict(backbone.named_modules()).get(name) if name else None
    if child is None:
        why = 'does not exist'
    elif isinstance(child, (nn.ModuleList, nn.ModuleDict)):
        why = 'is a list whose items are called instead'
    elif isinstance(child, nn.modules.batchnorm._BatchNorm):
        why = (
            'is a batch normalisation, which convert_sync_batchnorm and fuse_conv_bn replace, and '
            'the transformer would go with it: name the layer after it'
        )
    else:
        return child
    children = ', '.join(child_name for child_name, _ in backbone.named_children())
    raise ValueError(
        f'insert must name children of {type(backbone).__name__}, {name!r} {why}; '
        f'its children are: {children}'
    )


def _transform_input(
    backbone: STNBackbone, key: str, child: nn.Module, args: tuple
) -> tuple[Tensor, ...]:
    """Replaces the map that ``child`` is called with by what a transformer samples from it."""
    backbone._called.append(key)
    transformer = backbone.before[key]
    samples = transformer(args[0])
    if transformer.num_transformers is not None:
        samples = samples.flatten(1, 2)
    return (samples, *args[1:])
