"""Learning rates and weight decay of a project stay what they are when it gets STs."""

from __future__ import annotations

import logging
import re

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_CONSTRUCTORS
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmstn.models import STNBackbone, find_transformers
from mmstn.models.listening import unwrap


class _KnowsTransformers:
    """Matches ``custom_keys`` with the names that parameters have without STs.

    mmengine gives a parameter the settings of the longest key that is part of its name. So
    ``'backbone.layer3'`` does not match ``backbone.streams.0.layer3...`` of an
    :class:`~mmstn.models.STNBackbone`, and ``'backbone'`` outdoes ``'loc_net'``. Here

    - parameters of a stream count by the name that they have in the plain backbone;
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
        if keys and transformers:
            chosen = choose_keys(model, tuple(transformers), keys)
            # The whole name of a parameter is the longest key that there can be.
            custom_keys = {name: keys[key] for name, key in chosen.items()}
            self.paramwise_cfg = dict(self.paramwise_cfg, custom_keys=custom_keys)
        return super().__call__(model)  # type: ignore[misc]


def choose_keys(
    model: nn.Module, transformers: tuple[str, ...], keys: dict[str, dict]
) -> dict[str, str]:
    """Chooses the key of each parameter that has one.

    Args:
        model: The model.
        transformers: Names of its STs.
        keys: ``custom_keys``.

    Returns:
        The key by the name of the parameter.
    """
    streams = [
        re.escape(f'{name}.streams.'.lstrip('.'))
        for name, module in model.named_modules()
        if isinstance(module, STNBackbone)
    ]
    in_stream = re.compile(rf'^({"|".join(streams)})\d+\.') if streams else None
    prefixes = tuple(f'{name}.' if name else '' for name in transformers)
    by_length = sorted(sorted(keys), key=len, reverse=True)  # mmengine's order
    matches = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        plain = name
        if in_stream is not None and not name.startswith(prefixes):
            plain = in_stream.sub(lambda m: m[1].removesuffix('streams.'), name)
        # mmengine writes a parameter of the model itself with a dot.
        plain = plain if '.' in plain else f'.{plain}'
        matches[name] = [k for k in by_length if k in plain or ('streams' in k and k in name)]
    of_project = {k for name in matches if not name.startswith(prefixes) for k in matches[name]}
    for key in by_length:
        if not any(key in found for found in matches.values()):
            print_log(
                f'custom_keys: {key!r} matches no parameter of {type(model).__name__}.',
                'current',
                logging.WARNING,
            )
    chosen = {}
    for name, found in matches.items():
        own = [key for key in found if key not in of_project] if name.startswith(prefixes) else []
        for key in (*own, *found)[:1]:
            chosen[name] = key
    return chosen


@MMENGINE_CONSTRUCTORS.register_module(name='DefaultOptimWrapperConstructor', force=True)
class STNOptimWrapperConstructor(_KnowsTransformers, DefaultOptimWrapperConstructor):
    """mmengine's constructor; it takes its place, so that no config needs to name it."""


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name='LearningRateDecayOptimWrapperConstructor', force=True
)
class STNLearningRateDecayOptimWrapperConstructor(
    _KnowsTransformers, LearningRateDecayOptimWrapperConstructor
):
    """mmpretrain's constructor of rates that fall with depth, likewise."""
