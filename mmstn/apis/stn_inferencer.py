"""STNInferencer: inference with a classifier that has spatial transformers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.image import bgr2gray, gray2bgr, imread, imwrite
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.utils import mkdir_or_exist
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer

from mmstn.checks import flag
from mmstn.datasets import RandomTransform
from mmstn.engine.checkpoint_loading import load_checked, load_checked_from_http
from mmstn.visualization import (
    ImageStyle,
    SheetSample,
    TransformerRecord,
    draw_sheet,
    record_transformers,
    window_outlines,
)


class STNInferencer(ImageClassificationInferencer):
    """mmpretrain's inferencer, which also reports where the spatial transformers look.

    Images go through the config's test pipeline, but not through the random distortions of
    :mod:`mmstn.datasets`, which make a test set harder.

    Args:
        model: Path of a config, a config, the name of a model of mmpretrain, or a model.
        pretrained: Path of a checkpoint.
        device: Where to run, such as ``'cuda'``.
        trust: Whether to read a checkpoint that holds more than weights, and could run any code.
        **kwargs: See mmpretrain's ``ImageClassificationInferencer``.

    Example:
        >>> from mmstn.apis import STNInferencer
        >>> inferencer = STNInferencer('config.py', 'checkpoint.pth')
        >>> result = inferencer('digit.png', show_dir='pictures')[0]
        >>> result['pred_label'], result['transformers'][0]['theta']

    Raises:
        pickle.UnpicklingError: If the checkpoint holds more than weights, unless it is trusted.
    """

    visualizer: Any  # None until a picture is to be shown
    visualize_kwargs = {'draw', 'show', 'show_dir', 'wait_time', 'tile_size', 'bgr'}

    def __init__(
        self,
        model: Any,
        pretrained: bool | str = True,
        *args: Any,
        trust: bool = False,
        **kwargs: Any,
    ) -> None:
        if not flag('trust', trust) and isinstance(pretrained, str):
            if Path(pretrained).is_file():
                load_checked(pretrained)
            elif pretrained.startswith(('http://', 'https://')):
                load_checked_from_http(pretrained)  # mmengine then takes the file from there
        super().__init__(model, pretrained, *args, **kwargs)

    def _init_pipeline(self, cfg: Config) -> Compose:
        """The steps of the test pipeline, without those that distort a data set."""
        pipeline = super()._init_pipeline(cfg)
        pipeline.transforms = [t for t in pipeline.transforms if not isinstance(t, RandomTransform)]
        return pipeline

    def preprocess(self, inputs: list, batch_size: int = 1) -> Iterator[dict]:
        """Loads and collates the images; in grey for a model of one channel.

        Arrays are (H, W) or (H, W, C) with one channel, BGR or BGRA, as OpenCV has them.

        Raises:
            ValueError: If an array is no image.
        """
        color = 'grayscale' if self._is_grey() else 'color'
        images = (x if isinstance(x, np.ndarray) else imread(x, color) for x in inputs)
        converted = (_convert(image, color) for image in images)
        yield from super().preprocess(converted, batch_size)

    def _is_grey(self) -> bool:
        """Whether the model takes images of one channel."""
        for module in self.model.modules():  # in the order in which they see the image
            channels = getattr(module, 'in_channels', None)
            if isinstance(channels, int):
                return channels == 1
        mean = getattr(self.model.data_preprocessor, 'mean', None)
        return mean is not None and mean.numel() == 1

    @torch.no_grad()
    def forward(self, inputs: dict | tuple, **kwargs) -> list[DataSample]:
        """Predicts; each sample gets a field ``transformers``, the records of its transformers.

        Transformers inside a backbone that several views share are left out.
        """
        with record_transformers(self.model) as records:
            predictions = super().forward(inputs, **kwargs)
        for i, prediction in enumerate(predictions):
            own = [record.sample(i) for record in records if len(record) == len(predictions)]
            prediction.set_field(own, 'transformers')
        return predictions

    def visualize(
        self,
        ori_inputs: list,
        preds: list[DataSample],
        draw: bool = False,
        show: bool = False,
        show_dir: str | None = None,
        wait_time: float = 0,
        tile_size: int = 224,
        bgr: bool = False,
    ) -> list[np.ndarray] | None:
        """Draws each image with its windows above what the transformers sampled.

        Args:
            ori_inputs: The images as they were given.
            preds: From :meth:`forward`.
            draw: Whether to add the pictures to the results.
            show: Whether to open a window for each.
            show_dir: Where to write them, under the images' names; None for nowhere.
            wait_time: Seconds to show each for; 0 for until a key is pressed.
            tile_size: Room for one image, in pixels.
            bgr: Whether the model works on BGR images.

        Returns:
            (height, width, 3), uint8, RGB for each image; None if nobody asked for them.

        Raises:
            ValueError: If a picture would replace its image.
        """
        if not (draw or show or show_dir):
            return None
        if show and self.visualizer is None:
            self.visualizer = UniversalVisualizer()
        style = ImageStyle.of(self.model.data_preprocessor, bgr)
        pictures = []
        for i, (image, prediction) in enumerate(zip(ori_inputs, preds, strict=True)):
            records = [
                record
                for record in prediction.transformers
                if record.transformer.grid_generator.ndim == 2
            ]
            sample = SheetSample(records, self.title(prediction))
            pictures.append(draw_sheet([sample], style, tile_size=tile_size))
            name = str(i) if isinstance(image, np.ndarray) else Path(image).stem
            if show_dir:
                out_file = Path(show_dir, f'{name}.png')
                if (
                    not isinstance(image, np.ndarray)
                    and out_file.resolve() == Path(image).resolve()
                ):
                    raise ValueError(f'show_dir must be another folder than that of {image}')
                mkdir_or_exist(show_dir)
                imwrite(pictures[-1][..., ::-1], str(out_file))
            if show:
                self.visualizer.show(pictures[-1], name, wait_time)
        return pictures

    def title(self, prediction: DataSample) -> str:
        """The text on a picture: the predicted class, or classes, with probabilities."""
        labels = prediction.pred_label.flatten().tolist()
        names = [self.classes[label] if self.classes else label for label in labels]
        scores = prediction.pred_score[prediction.pred_label].flatten().tolist()
        return ', '.join(f'{name} ({p:.2f})' for name, p in zip(names, scores, strict=True))

    def postprocess(
        self,
        preds: list[DataSample],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
    ) -> list[dict] | list[DataSample]:
        """mmpretrain's results with ``transformers``, and ``picture`` if pictures were drawn.

        For each transformer there is its ``name`` in the model, ``theta``, (P,) or (K, P), and the
        ``windows``, outlines (M, 2) or (K, M, 2) in normalised coordinates (x, y) of the map that
        it read; None for a transformer of volumes.
        """
        results = super().postprocess(preds, visualization, return_datasamples)
        if return_datasamples:
            return results
        for i, (result, prediction) in enumerate(zip(results, preds, strict=True)):
            result['transformers'] = [_describe(record) for record in prediction.transformers]
            if visualization is not None:
                result['picture'] = visualization[i]
        return results


def _convert(image: np.ndarray, color: str) -> np.ndarray:
    """An image as OpenCV has it in grey, (H, W), or as BGR, (H, W, 3)."""
    channels = {2: 1, 3: image.shape[-1]}.get(image.ndim)
    if channels not in (1, 3, 4):
        raise ValueError(
            f'inputs must be images, (H, W) or (H, W, C) with 1, 3 or 4 channels, '
            f'got shape {image.shape}'
        )
    if channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    if color == 'grayscale':
        return image.reshape(image.shape[:2]) if channels == 1 else bgr2gray(image)
    return gray2bgr(image) if channels == 1 else image


def _describe(record: TransformerRecord) -> dict:
    """A record of one image in numbers."""
    theta = record.theta[0]
    generator = record.transformer.grid_generator
    windows = window_outlines(generator, theta).cpu().numpy() if generator.ndim == 2 else None
    return dict(name=record.name, theta=theta.cpu().numpy(), windows=windows)
