"""STNVisualizationHook: pictures of the spatial transformers at work, while a model trains."""

from collections.abc import Sequence
from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from mmstn.checks import flag, number_in, positive_int
from mmstn.models.listening import unwrap
from mmstn.number_string import number_string
from mmstn.visualization import ImageStyle, SheetSample, draw_sheet, record_transformers


@HOOKS.register_module()
class STNVisualizationHook(Hook):
    """Draws what the spatial transformers look at and what they make of it.

    After a validation, and after a test, it hands a sheet of pictures to the visualizer and so to
    each of its backends (files, TensorBoard, wandb...): some images of the data set with the
    windows on them, always the same ones, beside what was sampled. They are what the loop itself
    computed: the hook only listens, calls no model and draws no random number. In distributed runs
    the first process does it; with test-time augmentation the first form of each image is shown.
    Transformers of volumes are left out, and so are those inside a backbone that several views
    share, since there an image has several windows of one name.

    Args:
        num_samples: How many images to show, evenly spread over the data set.
        interval: Draw at every n-th validation.
        tile_size: Room for one image, in pixels.
        margin: Room around it for windows that reach beyond the image, a part of ``tile_size``.
        bgr: Whether the model works on BGR images.

    Raises:
        TypeError: If an option is of the wrong type.
        ValueError: If a number is out of range.

    Example:
        In a config::

            custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)
            custom_hooks = [dict(type='STNVisualizationHook')]
    """

    def __init__(
        self,
        num_samples: int = 10,
        interval: int = 1,
        tile_size: int = 112,
        margin: float = 0.22,
        bgr: bool = False,
    ) -> None:
        self.num_samples = positive_int('num_samples', num_samples)
        self.interval = positive_int('interval', interval)
        self.tile_size = positive_int('tile_size', tile_size)
        self.margin = number_in('margin', margin, '[0, inf)')
        self.bgr = flag('bgr', bgr)
        self._num_validations = 0
        self._wanted: set[int] = set()  # places of the samples in the order of the data loader
        self._seen = 0
        self._samples: list[SheetSample] = []
        self._recording = ExitStack()

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins a sheet if it is time for one."""
        is_time = self._num_validations % self.interval == 0
        self._num_validations += 1
        self._begin(runner.val_dataloader.sampler if is_time else ())

    def before_test_epoch(self, runner: Runner) -> None:
        """Begins a sheet."""
        self._begin(runner.test_dataloader.sampler)

    def _begin(self, indices: Sequence[int]) -> None:
        # The middles of equal parts: of a data set sorted by class they show all classes alike.
        number = min(self.num_samples, len(indices)) if is_main_process() else 0
        self._wanted = {int((i + 0.5) * len(indices) / number) for i in range(number)}
        self._seen = 0
        self._samples = []

    def _before_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, mode: str = 'val'
    ) -> None:
        """Listens to the model if the batch holds a wanted sample."""
        if mode == 'train':
            return
        self._recording.close()  # in case the iteration before failed
        samples = data_batch.get('data_samples', data_batch['inputs'])
        if isinstance(samples[0], (list, tuple)):  # test-time augmentation: a batch for each form
            samples = samples[0]
        batch = range(self._seen, self._seen + len(samples))
        self._seen = batch.stop
        self._in_batch = [i for i, place in enumerate(batch) if place in self._wanted]
        if self._in_batch:
            self._records = self._recording.enter_context(record_transformers(runner.model))
            # The first form alone, which is one call of the model inside.
            handle = unwrap(runner.model).register_forward_hook(lambda *_: self._recording.close())
            self._recording.callback(handle.remove)

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DataSample],
        mode: str = 'val',
    ) -> None:
        """Keeps the wanted samples of the batch."""
        if mode == 'train' or not self._in_batch:
            return
        self._recording.close()
        records = [
            record
            for record in self._records
            if record.transformer.grid_generator.ndim == 2 and len(record) == len(outputs)
        ]
        self._records = []
        classes = (runner.visualizer.dataset_meta or {}).get('classes')
        if not records:
            runner.logger.warning(
                f'{type(self).__name__} found no spatial transformer to draw in '
                f'{type(unwrap(runner.model)).__name__}.'
            )
            self._wanted = set()
            return
        for i in self._in_batch:
            title, correct = _verdict(outputs[i], classes)
            samples = [record.sample(i) for record in records]
            self._samples.append(SheetSample(samples, title, correct))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the sheet."""
        self._end(runner, 'val')

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the sheet."""
        self._end(runner, 'test')

    def _end(self, runner: Runner, mode: str) -> None:
        if not self._samples:
            return
        # Not `runner.train_loop` or `runner.iter`, which would build the loop and load the training
        # data, which a test does not need.
        loop = runner._train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        step = (loop.epoch if by_epoch else loop.iter) if isinstance(loop, BaseLoop) else 0
        title = mode + (f', {"epoch" if by_epoch else "iteration"} {step}' if step else '')
        style = ImageStyle.of(unwrap(runner.model).data_preprocessor, self.bgr)
        sheet = draw_sheet(self._samples, style, title, self.tile_size, self.margin)
        runner.visualizer.add_image(f'{mode}_transformers', sheet, step)
        self._samples = []


def _verdict(output: DataSample, classes: Sequence[str] | None) -> tuple[str, bool | None]:
    """What was predicted, in words, and whether it is right; nothing where there is no one label.

    Args:
        output: What the model gave for one image.
        classes: Names of the classes.

    Returns:
        The text and whether the prediction is right.
    """
    labels = [output.get(key) for key in ('gt_label', 'pred_label')]
    if 'pred_number' in output and labels[0] is not None:  # from NumberHead
        truth, guess = names = [number_string(labels[0]), output.pred_number]
    elif any(label is None or label.numel() != 1 for label in labels):
        return '', None
    else:
        truth, guess = (int(label) for label in labels)
        # A model may know more classes than the data set names: a picture must not end a run.
        classes = classes or ()
        named = range(len(classes))
        # Lines are broken at spaces.
        names = [str(classes[i] if i in named else i).replace('_', ' ') for i in (truth, guess)]
    return (names[0], True) if truth == guess else (f'{names[0]}\ntaken for {names[1]}', False)
