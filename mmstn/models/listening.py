"""Finds the spatial transformers of a model and listens to them while it runs."""

import sys
from collections.abc import Callable
from contextlib import ExitStack

import torch
from mmengine.model import BaseAveragedModel, BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from .spatial_transformer import SpatialTransformer


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside wrappers that distribute, compile, average or augment it."""
    while True:
        if isinstance(model, (BaseAveragedModel, BaseTTAModel)) or is_model_wrapper(model):
            model = model.module
        elif hasattr(model, '_orig_mod'):  # torch.compile
            model = model._orig_mod
        else:
            return model


def find_transformers(model: nn.Module) -> dict[str, SpatialTransformer]:
    """The spatial transformers of a model by name, in series or nested.

    Args:
        model: A spatial transformer or any module, also wrapped for distributed training,
            compiled, averaged (EMA), or for test-time augmentation.

    Returns:
        Them by their name in the model without its wrappers; '' for the model itself.
    """
    return {
        '.'.join(part for part in name.split('.') if part != '_orig_mod'): module
        for name, module in unwrap(model).named_modules()
        if isinstance(module, SpatialTransformer)
    }


def find_transformer(model: nn.Module, name: str) -> SpatialTransformer:
    """The spatial transformer of a model that has a name, as :func:`find_transformers` gives it.

    Raises:
        ValueError: If there is none.
    """
    transformers = find_transformers(model)
    if name not in transformers:
        raise ValueError(
            f'transformer must name a spatial transformer of the model ({list(transformers)}), '
            f'got {name!r}'
        )
    return transformers[name]


def listen(
    model: nn.Module, hear: Callable[[str, SpatialTransformer, Tensor, Tensor, Tensor], None]
) -> ExitStack:
    """Calls ``hear`` after each call of each spatial transformer of a model.

    Meanwhile compiled code is not used, as it ignores hooks.

    Args:
        model: As in :func:`find_transformers`.
        hear: Gets the name and the module, the map U that it read, theta, (N, P) or (N, K, P), and
            V, what it sampled. They are the tensors of the forward pass, gradients included.

    Returns:
        What ends it: ``with listen(...):``, or its ``close()``.

    Example:
        >>> thetas = []
        >>> with listen(model, lambda name, st, x, theta, samples: thetas.append(theta)):
        ...     model(images)
    """
    ears = ExitStack()

    def attach(name: str, transformer: SpatialTransformer) -> None:
        heard: list[Tensor] = []

        def hear_theta(_: nn.Module, args: tuple, theta: Tensor) -> None:
            heard[:] = [theta]

        def hear_call(_: nn.Module, args: tuple, kwargs: dict, output: Tensor | tuple) -> None:
            x = args[0] if args else kwargs['x']
            samples = output[0] if isinstance(output, tuple) else output
            hear(name, transformer, x, heard.pop(), samples)

        for handle in (
            transformer.theta.register_forward_hook(hear_theta),
            transformer.register_forward_hook(hear_call, with_kwargs=True),
        ):
            ears.callback(handle.remove)

    for name, transformer in find_transformers(model).items():
        attach(name, transformer)
    if 'torch._dynamo' in sys.modules:  # otherwise nothing is compiled
        _run_eagerly(+1)
        ears.callback(_run_eagerly, -1)
    return ears


_num_listening = 0
_eager = ExitStack()


def _run_eagerly(change: int) -> None:
    """Turns compiled code off for the first listener and on again after the last."""
    global _num_listening
    was_listening, _num_listening = _num_listening > 0, _num_listening + change
    if was_listening == (_num_listening > 0):
        return
    if not hasattr(torch.compiler, 'set_stance'):  # before torch 2.6: compile anew, with the hooks
        torch._dynamo.reset()
    elif was_listening:
        _eager.close()
    else:
        _eager.enter_context(torch.compiler.set_stance('force_eager'))
