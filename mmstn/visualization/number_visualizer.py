"""NumberVisualizer: draws the numbers that were read."""

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmpretrain.registry import VISUALIZERS
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from mmpretrain.visualization.utils import get_adaptive_scale

from mmstn.number_string import number_string


@VISUALIZERS.register_module()
class NumberVisualizer(UniversalVisualizer):
    """mmpretrain's visualizer, which writes labels of several places as one number: '1937'."""

    @master_only
    def visualize_cls(
        self,
        image: np.ndarray,
        data_sample: DataSample,
        classes: None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_score: bool = True,
        resize: int | None = None,
        rescale_factor: float | None = None,
        text_cfg: dict = dict(),
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        name: str = '',
        step: int = 0,
    ) -> np.ndarray:
        """Draws the number that was read and the one that is there on the image.

        Args:
            image: (H, W, 3), RGB.
            data_sample: From :class:`~mmstn.models.NumberHead`.
            classes: Not used.
            draw_gt: Whether to write the true number.
            draw_pred: Whether to write the predicted one.
            draw_score: Whether to write its probability.
            resize: Length of the short side to scale the image to first.
            rescale_factor: Or by how much to scale it.
            text_cfg: Further settings of the text.
            show: Whether to open a window.
            wait_time: Seconds to show it for; 0 until a key is pressed.
            out_file: Where to write the picture, instead of the visualizer's own backends.
            name: Its name for these backends.
            step: Its step for these backends.

        Returns:
            The picture, RGB.
        """
        if resize is not None:
            rescale_factor = resize / min(image.shape[:2])
        if rescale_factor is not None:
            image = mmcv.imrescale(image, float(rescale_factor))
        lines = []
        if draw_gt and 'gt_label' in data_sample:
            lines.append(f'Ground truth: {number_string(data_sample.gt_label)}')
        if draw_pred and 'pred_label' in data_sample:
            lines.append(f'Prediction: {data_sample.pred_number}')
            if draw_score:
                lines[-1] += f', {data_sample.pred_number_score:.2f}'
        self.set_image(image)
        scale = get_adaptive_scale(image.shape[:2])
        style = {'size': int(scale * 7), **self.DEFAULT_TEXT_CFG, **text_cfg}
        self.ax_save.text(scale * 5, scale * 5, '\n'.join(lines), **style)
        picture = self.get_image()
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(picture[..., ::-1], out_file)
        else:
            self.add_image(name, picture, step=step)
        return picture
