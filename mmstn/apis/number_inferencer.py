"""NumberInferencer: inference with a network that reads numbers."""

import numpy as np
from mmpretrain.structures import DataSample

from .stn_inferencer import STNInferencer


class NumberInferencer(STNInferencer):
    """The inferencer for models with a :class:`~mmstn.models.NumberHead`: images to numbers.

    Images are cropped to the number already, as there is no box to crop them by. See
    :class:`STNInferencer` for the arguments.

    Example:
        >>> from mmstn.apis import NumberInferencer
        >>> inferencer = NumberInferencer('config.py', 'checkpoint.pth')
        >>> inferencer('house.png')[0]['pred_number']
        '1937'
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.classes = None  # those of a place, while mmpretrain looks up those of an image

    def title(self, prediction: DataSample) -> str:
        """The number and its probability."""
        return f'{prediction.pred_number} ({prediction.pred_number_score:.2f})'

    def postprocess(
        self,
        preds: list[DataSample],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
    ) -> list[dict] | list[DataSample]:
        """The results of :class:`STNInferencer`, for numbers.

        ``pred_number`` is the number as text and ``pred_score`` its probability; ``pred_label``
        (L,) and ``pred_scores`` (L, classes) belong to its places.
        """
        results = super().postprocess(preds, visualization, return_datasamples)
        if return_datasamples:
            return results
        for result, prediction in zip(results, preds, strict=True):
            result['pred_number'] = prediction.pred_number
            result['pred_score'] = prediction.pred_number_score
            result['pred_label'] = prediction.pred_label.cpu().numpy()
        return results
