"""STNCoLocalizer: finds the object that all images have in common, without a label or a box."""

import torch
from mmengine.model import BaseModel
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmstn.checks import number_in
from mmstn.grid_generators import AttentionGridGenerator
from mmstn.ops import affine_grid_sample
from mmstn.ops.grids import to_pixels
from mmstn.registry import build_argument

from .spatial_transformer import SpatialTransformer, build_transformer


@MODELS.register_module()
class STNCoLocalizer(BaseModel):
    """Co-localisation (appendix A.2 of the paper).

    A spatial transformer cuts a crop out of each image. A frozen encoder describes it, and a random
    crop of the same image too. The loss makes crops of different images alike, and unlike the
    random ones.

    Args:
        transformer: Config of a :class:`~mmstn.models.SpatialTransformer` with an
            :class:`~mmstn.models.AttentionGridGenerator`, whose windows are boxes; its ``type`` may
            be left out.
        encoder: Config of what describes crops, such as :class:`~mmstn.models.ActivationEncoder`,
            (N, C, H', W') -> (N, F).
        loss: Config of the loss, of descriptions of crops and of random crops.
        random_scale: Size of the random crops, as a part of the image's.
        data_preprocessor: Config of mmpretrain's or mmengine's data preprocessor.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If an argument is of the wrong type or the transformer has other windows than
            boxes.
        ValueError: If there are parallel transformers or ``random_scale`` is not in (0, 1].
    """

    def __init__(
        self,
        transformer: dict | SpatialTransformer,
        encoder: dict,
        loss: dict,
        random_scale: float = 1 / 3,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        if isinstance(data_preprocessor, dict):
            data_preprocessor = {'type': 'mmpretrain.ClsDataPreprocessor', **data_preprocessor}
        if data_preprocessor is not None:
            data_preprocessor = build_argument(
                'data_preprocessor', data_preprocessor, MODELS, nn.Module, 'a module'
            )
        super().__init__(data_preprocessor, init_cfg)
        self.transformer = build_transformer(transformer)
        generator = self.transformer.grid_generator
        if not isinstance(generator, AttentionGridGenerator) or generator.ndim != 2:
            raise TypeError(
                f'transformer must have an AttentionGridGenerator for images, whose windows are '
                f'boxes, got {type(generator).__name__} with {generator.ndim} dimensions'
            )
        if self.transformer.num_transformers is not None:
            raise ValueError(
                f'transformer must have num_transformers=None, '
                f'got {self.transformer.num_transformers}'
            )
        self.random_scale = number_in('random_scale', random_scale, '(0, 1]')
        self.random_generator = AttentionGridGenerator(scale=random_scale)
        self.encoder = build_argument('encoder', encoder, MODELS, nn.Module, 'a module')
        self.loss_function = build_argument('loss', loss, MODELS, nn.Module, 'a module')

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """What mmengine calls.

        Args:
            inputs: Images, (N, C, H, W).
            data_samples: What is known about them; only handed through.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            For ``'loss'`` a dict of losses; for ``'predict'`` samples with a ``pred_box``, (x1, y1,
            x2, y2) in pixels from the image's upper left corner; for ``'tensor'`` the crops.

        Raises:
            ValueError: If ``mode`` is unknown.
        """
        if mode == 'tensor':
            return self.transformer(inputs)
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")

    def loss(self, inputs: Tensor) -> dict[str, Tensor]:
        """The loss of a batch, in which each image forms a pair with each other."""
        found = self.encoder(self.transformer(inputs))
        with torch.no_grad():
            random = self.encoder(self.random_crops(inputs))
        return dict(loss=self.loss_function(found, random))

    def random_crops(self, inputs: Tensor) -> Tensor:
        """A crop of each image, anywhere within it, as large as the transformer's."""
        room = 1 - self.random_scale
        theta = room * (2 * torch.rand(len(inputs), 2, device=inputs.device) - 1)
        return affine_grid_sample(
            inputs,
            self.random_generator.matrix(theta),
            self.transformer.get_out_size(inputs),
            mode=self.transformer.mode,
            padding_mode=self.transformer.padding_mode,
        )

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds the boxes that were found, see :meth:`forward`."""
        _, theta = self.transformer(inputs, return_theta=True)
        boxes = self.boxes(theta, inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in boxes]
        for sample, box in zip(data_samples, boxes, strict=True):
            sample.set_field(box, 'pred_box')
        return data_samples

    def boxes(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """Windows as boxes, as far as they lie within the image.

        Args:
            theta: (N, P).
            inputs: The images, (N, C, H, W).

        Returns:
            (x1, y1, x2, y2) in pixels from the upper left corner of the image, (N, 4).
        """
        matrix = self.transformer.grid_generator.matrix(theta)
        edges = []
        for axis, size in enumerate((inputs.shape[3], inputs.shape[2])):
            half, center = matrix[:, axis, axis].abs(), matrix[:, axis, 2]
            for edge in (center - half, center + half):
                # A pixel's centre lies half a pixel from its edge.
                pixels = to_pixels(edge, size, self.transformer.align_corners) + 0.5
                edges.append(pixels.clamp(0, size))
        x1, x2, y1, y2 = edges
        return torch.stack([x1, y1, x2, y2], dim=1)
