"""Keeps the learning rates and weight decay of a project as they are when it gets STs."""

import logging

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_CONSTRUCTORS
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmstn.models import STNBackbone, STNNeck, find_transformers
from mmstn.models.listening import unwrap


class _KnowsTransformers:
    """Matches ``custom_keys`` with the names that parameters have without STs.

    mmengine gives a parameter the settings of the longest key that is part of its name. So
    ``'backbone.layer3'`` does not match ``backbone.streams.0.layer3...`` of an
    :class:`~mmstn.models.STNBackbone`, ``'neck.fc'`` matches nothing once an
    :class:`~mmstn.models.STNNeck` made the neck a list, and ``'backbone'`` outdoes ``'loc_net'``.
    Here

    - parameters count by the name that they have in the model without STs; a key that matches no
      such name is taken for one of the model as it is;
    - for parameters of an ST, keys that match STs alone (``'loc_net'``, ``'transformer'``,
      ``'loc_net.regression'``) come before those of the project (``'backbone'``);
    - a key that matches nothing is warned of.

    Models without STs are left to the class that this one is put before.
    """

    paramwise_cfg: dict

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the optimizer and its wrapper."""
        model = unwrap(model)
        keys = self.paramwise_cfg.get('custom_keys')
        transformers = find_transformers(model)
        self.own: dict[str, dict] = {}
        if keys and transformers:
            own, others = choose_keys(model, tuple(transformers), keys)
            self.own = {name: keys[key] for name, key in own.items()}
            # The whole name of a parameter is the longest key that there can be.
            custom_keys = {name: keys[key] for name, key in others.items()} | self.own
            self.paramwise_cfg = dict(self.paramwise_cfg, custom_keys=custom_keys)
        return super().__call__(model)  # type: ignore[misc]


def choose_keys(
    model: nn.Module, transformers: tuple[str, ...], keys: dict[str, dict]
) -> tuple[dict[str, str], dict[str, str]]:
    """Chooses the key of each parameter that has one.

    Args:
        model: The model.
        transformers: Names of its STs.
        keys: ``custom_keys``.

    Returns:
        The key by the name of the parameter: of parameters of STs whose key matches STs alone, and
        of all others.
    """
    prefixes = tuple(f'{name}.' if name else '' for name in transformers)
    by_length = sorted(sorted(keys), key=len, reverse=True)  # mmengine's order
    plain = plain_names(model, prefixes)
    of_plain = {k for k in keys if any(k in name for name in plain.values())}
    matches = {
        name: [k for k in by_length if k in (plain[name] if k in of_plain else name)]
        for name in plain
    }
    of_project = {k for name in matches if not name.startswith(prefixes) for k in matches[name]}
    own, others = {}, {}
    for name, found in matches.items():
        special = [k for k in found if name.startswith(prefixes) and k not in of_project]
        if special:
            own[name] = special[0]
        elif found:
            others[name] = found[0]
    for key in by_length:
        if not any(key in found for found in matches.values()):
            print_log(
                f'custom_keys: {key!r} matches no parameter of {type(model).__name__}.',
                'current',
                logging.WARNING,
            )
    return own, others


def plain_names(model: nn.Module, transformers: tuple[str, ...]) -> dict[str, str]:
    """The name of each parameter in the model without its STs, by its name in the model.

    Args:
        model: The model.
        transformers: What names of parameters of STs begin with; these stay as they are.
    """
    without: dict[str, str] = {}
    for name, module in model.named_modules():
        prefix = f'{name}.' if name else ''
        if isinstance(module, STNBackbone):
            without |= {f'{prefix}streams.{i}.': prefix for i in range(len(module.streams))}
        elif isinstance(module, nn.Sequential):
            others = [k for k, child in module.named_children() if not isinstance(child, STNNeck)]
            if len(others) == 1 < len(module):
                without[f'{prefix}{others[0]}.'] = prefix
            elif len(others) < len(module):
                without |= {f'{prefix}{k}.': f'{prefix}{i}.' for i, k in enumerate(others)}
    plain = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        plain[name] = name
        if not name.startswith(transformers):
            for prefix in sorted(without, key=len, reverse=True):  # the inner ones first
                if name.startswith(prefix):
                    plain[name] = without[prefix] + plain[name].removeprefix(prefix)
        # mmengine writes a parameter of the model itself with a leading dot.
        plain[name] = plain[name] if '.' in plain[name] else f'.{plain[name]}'
    return plain


@MMENGINE_CONSTRUCTORS.register_module(name='DefaultOptimWrapperConstructor', force=True)
class STNOptimWrapperConstructor(_KnowsTransformers, DefaultOptimWrapperConstructor):
    """mmengine's constructor; it takes its place, so that no config needs to name it."""


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name='LearningRateDecayOptimWrapperConstructor', force=True
)
class STNLearningRateDecayOptimWrapperConstructor(
    _KnowsTransformers, LearningRateDecayOptimWrapperConstructor
):
    """mmpretrain's constructor of rates that fall with depth, likewise.

    It passes over ``lr_mult``, since depth has the say; but STs have no depth: theirs counts.
    """

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs) -> None:
        """See mmpretrain's."""
        super().add_params(params, module, prefix, **kwargs)
        for group in params if prefix == '' else ():
            group['lr'] *= self.own.get(group['param_name'], {}).get('lr_mult', 1)
