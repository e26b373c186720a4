"""What the spatial transformers of a model do in a forward pass, without a change to the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from mmstn.models import SpatialTransformer


@dataclass
class TransformerRecord:
    """One call of one spatial transformer.

    Attributes:
        name: The module's name in the model; '' if it is the model itself.
        transformer: The module.
        input: The map U that it read, (N, C, H, W).
        theta: (N, P), or (N, K, P) for K parallel transformers.
        output: V, what it sampled, (N, C, H', W') or (N, K, C, H', W').
    """

    name: str
    transformer: SpatialTransformer
    input: Tensor
    theta: Tensor
    output: Tensor

    def __len__(self) -> int:
        """N, the number of maps."""
        return len(self.input)

    def sample(self, index: int) -> TransformerRecord:
        """A copy that holds one map of the batch and lets go of the others, N = 1."""
        batch = (self.input, self.theta, self.output)
        return TransformerRecord(
            self.name, self.transformer, *(x[index : index + 1].clone() for x in batch)
        )


@contextmanager
def record_transformers(model: nn.Module) -> Iterator[list[TransformerRecord]]:
    """Records every call of a :class:`~mmstn.models.SpatialTransformer` anywhere in a model.

    Args:
        model: A spatial transformer, or a module that has some at any depth, in series or nested.

    Yields:
        The records, in the order in which the calls end; empty at first. They are copies, without
        gradients.

    Example:
        >>> with record_transformers(model) as records:
        ...     model(images)
        >>> records[0].theta
    """
    records: list[TransformerRecord] = []
    thetas: dict[str, Tensor] = {}
    handles = []

    def watch(name: str, transformer: SpatialTransformer) -> None:
        def keep_theta(loc_net: nn.Module, args: tuple, theta: Tensor) -> None:
            thetas[name] = theta

        def keep_call(_: nn.Module, args: tuple, kwargs: dict, output: Tensor | tuple) -> None:
            maps = args[0] if args else kwargs['x']
            samples = output[0] if isinstance(output, tuple) else output
            tensors = (x.detach().clone() for x in (maps, thetas.pop(name), samples))
            records.append(TransformerRecord(name, transformer, *tensors))

        handles.append(transformer.loc_net.register_forward_hook(keep_theta))
        handles.append(transformer.register_forward_hook(keep_call, with_kwargs=True))

    for name, module in model.named_modules():
        if isinstance(module, SpatialTransformer):
            watch(name, module)
    try:
        yield records
    finally:
        for handle in handles:
            handle.remove()
