"""DigitCoverage: which digit a spatial transformer looks at."""

from collections.abc import Sequence

import numpy as np
from matplotlib.path import Path
from mmpretrain.registry import METRICS
from torch import Tensor

from mmstn.checks import number_in

from .base import CheckedMetric


@METRICS.register_module()
class DigitCoverage(CheckedMetric):
    """For each transformer, in how many images its window covers which digit (appendix A.1).

    The images hold one digit in each channel. A window covers a digit if enough of the digit's ink
    lies within. Needs :class:`~mmstn.engine.hooks.WindowsHook`, which adds the windows to the
    predictions, and a transformer that reads the image itself.

    It gives, in per cent of the images, ``st1_digit1`` and so on (the first window covers the first
    digit, whatever else it covers), and ``st1_both`` and ``st1_neither`` where there are two
    digits; with several windows also ``divided``: each digit is covered by a window that covers no
    other digit. Transformers that have specialised show by a high ``divided``, and by one digit
    being much more frequent than the other in each window.

    Args:
        threshold: The part of the ink that must lie within.
        collect_device: Where results of several processes are gathered.
        prefix: What stands before the names, with a slash.

    Raises:
        TypeError: If an option is of the wrong type.
        ValueError: If ``threshold`` is not in (0, 1] or another option is unknown; in use, if the
            predictions have no windows.
    """

    default_prefix = 'coverage'

    def __init__(
        self,
        threshold: float = 0.9,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.threshold = number_in('threshold', threshold, '(0, 1]')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keeps for each image which window covers which digit, (K, C)."""
        images = data_batch['inputs']
        if isinstance(data_batch.get('data_samples', data_samples)[0], (list, tuple)):
            images = images[0]  # test-time augmentation: the windows are those of the first form
        for image, sample in zip(images, data_samples, strict=True):
            if 'windows' not in sample:
                raise ValueError(
                    "a prediction must hold 'windows', which needs "
                    "custom_hooks = [dict(type='WindowsHook')]"
                )
            shares = covered_shares(image, sample['windows'])
            self.results.append(shares >= self.threshold)

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Per cent of the images."""
        covered = np.stack(results)  # (N, K, C)
        metrics = {}
        for k in range(covered.shape[1]):
            for c in range(covered.shape[2]):
                metrics[f'st{k + 1}_digit{c + 1}'] = covered[:, k, c]
            if covered.shape[2] == 2:
                metrics[f'st{k + 1}_both'] = covered[:, k].all(axis=1)
                metrics[f'st{k + 1}_neither'] = ~covered[:, k].any(axis=1)
        if covered.shape[1] > 1:
            alone = covered & (covered.sum(axis=2, keepdims=True) == 1)
            metrics['divided'] = alone.any(axis=1).all(axis=1)
        return {name: 100 * float(values.mean()) for name, values in metrics.items()}


def covered_shares(image: Tensor, windows: Tensor) -> np.ndarray:
    """The part of each channel's ink that lies within each window.

    Args:
        image: (C, H, W), black where it is 0.
        windows: Outlines, (K, M, 2): points (x, y) in pixels from the upper left corner.

    Returns:
        (K, C); 0 for a black channel, and for a window with a point that is not finite.
    """
    ink = image.double().cpu().numpy()
    _, height, width = ink.shape
    y, x = np.mgrid[:height, :width]
    centers = np.stack([x.ravel(), y.ravel()], axis=1) + 0.5
    total = ink.sum(axis=(1, 2))
    shares = np.zeros((len(windows), len(ink)))
    for k, window in enumerate(windows.double().cpu().numpy()):
        if np.isfinite(window).all():
            inside = Path(np.vstack([window, window[:1]])).contains_points(centers)
            covered = (ink.reshape(len(ink), -1) * inside).sum(axis=1)
            shares[k] = np.divide(covered, total, out=np.zeros_like(total), where=total > 0)
    return shares
