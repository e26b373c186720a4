"""PartLocalization: which parts of a bird parallel transformers look at."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from mmpretrain.registry import METRICS

from mmstn.checks import flag, number_in

from .base import CheckedMetric


@METRICS.register_module()
class PartLocalization(CheckedMetric):
    """How often the window of each transformer holds the head, the body and every single part.

    The paper (section 4.3) shows in pictures that one of two transformers finds heads, with no part
    label given. This puts a number on it. It needs ``gt_keypoints``, packed by
    ``PackInputs(algorithm_keys=('gt_keypoints', ))``, and the names ``parts`` and ``head_parts`` in
    the data set's meta information, as :class:`~mmstn.datasets.CUBParts` has them; all parts that
    are not of the head are the body. And it needs the hook ``WindowsHook``.

    Of the visible parts of each image it gives, in percent of the images that show any, for
    transformer i = 1, ..., K:

    - ``st{i}_head``, ``st{i}_body``: the window holds enough of the group;
    - ``st{i}_head_start``, ``st{i}_body_start``: the window that it started from would;
    - ``st{i}_{part}``: the window holds that part;

    and further

    - ``head``, ``body``, ``head_start``, ``body_start``: of these, the largest of any transformer,
      since which one turns to heads is left to chance;
    - ``overlap``: intersection over union of two windows, in percent, mean over pairs and images;
    - ``st{i}_moved``: how far the window's centre is from where it started, in percent of the
      image's diagonal, mean over the images.

    Args:
        min_fraction: How much of a group's visible parts a window must hold to hold the group.
        per_part: Whether to report single parts too.
        collect_device: See mmengine's ``BaseMetric``.
        prefix: See there.

    Raises:
        TypeError: If an option is of the wrong type.
        ValueError: If ``min_fraction`` is not in (0, 1] or another option is unknown; in use, if a
            prediction or the data set lacks what is needed.
    """

    default_prefix = 'parts'

    def __init__(
        self,
        min_fraction: float = 0.75,
        per_part: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.min_fraction = number_in('min_fraction', min_fraction, '(0, 1]')
        self.per_part = flag('per_part', per_part)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Looks at a batch of predictions."""
        parts, _ = self._names()
        needed = {
            'gt_keypoints': "CUBParts and PackInputs(algorithm_keys=('gt_keypoints', ))",
            'windows': "custom_hooks = [dict(type='WindowsHook')]",
        }
        for sample in data_samples:
            for name, remedy in needed.items():
                if name not in sample:
                    raise ValueError(f'a prediction must hold {name!r}, which needs {remedy}')
            keypoints = np.asarray(sample['gt_keypoints'], np.float32).reshape(len(parts), 3)
            windows, start = (
                np.asarray(sample[name], np.float32) for name in ('windows', 'start_windows')
            )
            diagonal = np.hypot(*sample['img_shape'][:2])
            pairs = [_iou(a, b) for a, b in combinations(windows, 2)]
            self.results.append(
                dict(
                    visible=keypoints[:, 2] > 0,
                    inside=_inside(windows, keypoints[:, :2]),
                    start=_inside(start, keypoints[:, :2]),
                    moved=np.linalg.norm(windows.mean(1) - start.mean(1), axis=1) / diagonal,
                    overlap=np.mean(pairs) if pairs else None,
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """The shares over all images; of parts that no image shows there is none."""
        visible, inside, start, moved = (
            np.stack([result[name] for result in results])
            for name in ('visible', 'inside', 'start', 'moved')
        )
        parts, head = self._names()
        groups = {
            'head': [i for i, name in enumerate(parts) if name in head],
            'body': [i for i, name in enumerate(parts) if name not in head],
        }
        metrics = {}
        for i in range(inside.shape[1]):
            for group, of in groups.items():
                shown = visible[:, of].sum(1)
                for suffix, holds in (('', inside), ('_start', start)):
                    held = (holds[:, i, of] & visible[:, of]).sum(1)
                    enough = held >= self.min_fraction * shown
                    if shown.any():
                        metrics[f'st{i + 1}_{group}{suffix}'] = enough[shown > 0].mean()
            for part, name in enumerate(parts) if self.per_part else ():
                if visible[:, part].any():
                    share = inside[visible[:, part], i, part].mean()
                    metrics[f'st{i + 1}_{name.replace(" ", "_")}'] = share
            metrics[f'st{i + 1}_moved'] = moved[:, i].mean()
        for name in ('head', 'body', 'head_start', 'body_start'):
            shares = [metrics[key] for key in metrics if key.endswith(f'_{name}')]
            if shares:
                metrics[name] = max(shares)
        if results[0]['overlap'] is not None:
            metrics['overlap'] = np.mean([result['overlap'] for result in results])
        return {name: 100 * float(value) for name, value in metrics.items()}

    def _names(self) -> tuple[Sequence[str], Sequence[str]]:
        """The names of all parts, in the order of the key points, and of those of the head."""
        meta = self.dataset_meta or {}
        if not {'parts', 'head_parts'} <= meta.keys():
            raise ValueError(
                "the data set's metainfo must have 'parts' and 'head_parts', names of the key "
                f'points, as CUBParts has them, got {sorted(meta)}'
            )
        return meta['parts'], meta['head_parts']


def _inside(windows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether windows (K, M, 2) hold points (P, 2), (K, P); their edges belong to them."""
    return np.array(
        [[cv2.pointPolygonTest(w, p, False) >= 0 for p in points.tolist()] for w in windows]
    )


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two windows, (M, 2) each, or of their hulls if they are bent."""
    a, b = cv2.convexHull(a), cv2.convexHull(b)
    area_a, area_b = cv2.contourArea(a), cv2.contourArea(b)
    if min(area_a, area_b) == 0:  # a window that has collapsed to a line
        return 0.0
    intersection, _ = cv2.intersectConvexConvex(a, b)
    return intersection / (area_a + area_b - intersection)
