"""TripletHingeLoss: the loss of co-localisation without labels."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import number_in, one_of
from mmstn.ops.grids import without_autocast


@MODELS.register_module()
class TripletHingeLoss(nn.Module):
    """Makes crops alike, and unlike random crops (appendix A.2 of the paper).

    The sum over all pairs n != m of max(0, |e_n - e_m|^2 - |e_n - e_n^rand|^2 + margin), where e_n
    describes what was found in image n and e_n^rand a random crop of it.

    Args:
        margin: alpha, by how much closer what was found must be.
        reduction: ``'mean'`` over the pairs, so that the learning rate does not depend on how many
            images there are, or ``'sum'``, the paper's.
        loss_weight: A factor.

    Raises:
        ValueError: If ``reduction`` is unknown or ``margin`` negative.
    """

    def __init__(
        self, margin: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.margin = number_in('margin', margin, '[0, inf)')
        self.reduction = one_of('reduction', reduction, ('mean', 'sum'))
        self.loss_weight = number_in('loss_weight', loss_weight, '[0, inf)')

    def forward(self, found: Tensor, random: Tensor) -> Tensor:
        """The loss of one batch.

        Args:
            found: Descriptions of what was found, (N, F), N >= 2.
            random: Descriptions of random crops of the same images, (N, F).

        Returns:
            A number, in float32 at least.

        Raises:
            ValueError: If the shapes differ or there is no pair.
        """
        pairs = self._pairs(found, random)
        return pairs.sum() / self._divisor(len(found))

    def by_image(self, found: Tensor, random: Tensor) -> Tensor:
        """The part of :meth:`forward` that depends on each image: all pairs it is in, (N,)."""
        pairs = self._pairs(found, random)
        return (pairs.sum(dim=0) + pairs.sum(dim=1)) / self._divisor(len(found))

    def _divisor(self, num_images: int) -> int:
        return num_images * (num_images - 1) if self.reduction == 'mean' else 1

    def _pairs(self, found: Tensor, random: Tensor) -> Tensor:
        """The weighted loss of each pair (n, m), (N, N), with zeros on the diagonal."""
        if found.dim() != 2 or found.shape != random.shape or len(found) < 2:
            raise ValueError(
                f'found and random must be (N, F) with N >= 2, got shapes {tuple(found.shape)} '
                f'and {tuple(random.shape)}'
            )
        with without_autocast(found.device.type):  # differences of large numbers
            if found.dtype in (torch.float16, torch.bfloat16):
                found, random = found.float(), random.float()
            squares = found.square().sum(dim=1)
            products = found @ found.T
            between = (squares[:, None] + squares - 2 * products).clamp(min=0)  # (N, N)
            to_random = (found - random).square().sum(dim=1)  # (N,)
            hinge = (between - to_random[:, None] + self.margin).clamp(min=0)
            return self.loss_weight * hinge.fill_diagonal_(0)
