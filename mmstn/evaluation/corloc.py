"""CorLoc: the share of images whose object was found."""

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import METRICS

from mmstn.checks import number_in

from .base import CheckedMetric


@METRICS.register_module()
class CorLoc(CheckedMetric):
    """Correct localisation: per cent of the images whose box overlaps the true one enough.

    It looks at ``pred_box`` and ``gt_box`` of the predictions, (x1, y1, x2, y2); and gives
    ``corloc`` and ``mean_iou``, both in per cent.

    Args:
        iou_threshold: The intersection over union that must be exceeded (0.5 in appendix A.2 of the
            paper).
        collect_device: Where results of several processes are gathered.
        prefix: What stands before the names, with a slash.

    Raises:
        TypeError: If an option is of the wrong type.
        ValueError: If ``iou_threshold`` is not in [0, 1) or another option is unknown.
    """

    def __init__(
        self,
        iou_threshold: float = 0.5,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.iou_threshold = number_in('iou_threshold', iou_threshold, '[0, 1)')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keeps the overlap of each image."""
        for sample in data_samples:
            boxes = [np.asarray(sample[key], float) for key in ('pred_box', 'gt_box')]
            self.results.append(box_iou(*boxes))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """The metrics in per cent."""
        ious = np.array(results)
        return dict(
            corloc=100 * float((ious > self.iou_threshold).mean()),
            mean_iou=100 * float(ious.mean()),
        )


def box_iou(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2); 0 if one is not finite."""
    if not (np.isfinite(box).all() and np.isfinite(other).all()):
        return 0.0
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    intersection = sides.clip(min=0).prod()
    areas = (box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod()
    union = areas - intersection
    return float(intersection / union) if union > 0 else 0.0
