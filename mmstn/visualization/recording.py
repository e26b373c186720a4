"""Records what the spatial transformers of a model do in a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from mmstn.checks import instance_of
from mmstn.models import SpatialTransformer, listen


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
        """A copy with one map of the batch, N = 1, which keeps none of the others alive."""
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
    instance_of('model', model, nn.Module, 'a module')
    records: list[TransformerRecord] = []

    def keep(name: str, transformer: SpatialTransformer, *tensors: Tensor) -> None:
        copies = (x.detach().clone() for x in tensors)
        records.append(TransformerRecord(name, transformer, *copies))

    with listen(model, keep):
        yield records
