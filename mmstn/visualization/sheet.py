"""A sheet of pictures: what spatial transformers look at, beside what they make of it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from types import NoneType

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmstn.checks import instance_of, number_in, positive_int, sequence, whole_number

from .images import ImageStyle, fit, map_to_image
from .recording import TransformerRecord
from .windows import draw_windows, outlines_in_pixels, window_outlines

_DPI = 100
_PAPER = 255
_CHARACTER = 10  # the mean width of a letter of a title, in pixels
_INK = '#222222'
_RIGHT, _WRONG = '#1b7f3b', '#c22f2f'


@dataclass
class SheetSample:
    """One column of a sheet.

    Attributes:
        records: What each transformer did with one image (records of N = 1, with two spatial
            dimensions).
        title: Text above the column, broken into lines where it is wider.
        correct: Whether the prediction was right, which colours the title; None for neither.
    """

    records: Sequence[TransformerRecord]
    title: str = ''
    correct: bool | None = None


def draw_sheet(
    samples: Sequence[SheetSample],
    style: ImageStyle | None = None,
    title: str = '',
    tile_size: int = 112,
    margin: float = 0.22,
) -> np.ndarray:
    """Draws one column a sample: the input with the windows on it, below it what came out of each.

    Several transformers follow each other from top to bottom. The dot on a window is the upper left
    corner of its output.

    Args:
        samples: The columns, at least one.
        style: How maps become images.
        title: Text above everything.
        tile_size: Room for one image, in pixels.
        margin: Room around each input for windows that reach beyond it, a part of ``tile_size``;
            by default enough for a window as large as the image at any angle.

    Returns:
        The sheet, (height, width, 3), uint8, RGB.

    Raises:
        TypeError: If ``tile_size`` or ``margin`` is no number.
        ValueError: If there is nothing to draw, or a number is out of range.
    """
    for sample in sequence('samples', samples, 'SheetSamples'):
        instance_of('samples', sample, SheetSample, 'SheetSamples')
    instance_of('style', style, (ImageStyle, NoneType), 'an ImageStyle or None')
    instance_of('title', title, str, 'a text')
    positive_int('tile_size', tile_size)
    number_in('margin', margin, '[0, inf)')
    if not samples or not all(sample.records for sample in samples):
        raise ValueError('samples must be at least one, each with a record of a transformer')
    positive_int('tile_size', tile_size)
    number_in('margin', margin, '[0, inf)')
    style = style or ImageStyle()
    columns = [_draw_column(sample, style, tile_size, margin) for sample in samples]
    labels = _labels(samples[0])
    return _Page(columns, labels, [(s.title, s.correct) for s in samples], title).render()


def _labels(sample: SheetSample) -> list[str]:
    """A text for each row."""
    names = [record.name.split('.') for record in sample.records]
    shared = len(commonprefix(names))
    labels = []
    for record, parts in zip(sample.records, names, strict=True):
        # The part that tells one transformer of a model from another.
        name = '.'.join(parts[shared:]) + '\n' if len(names) > 1 else ''
        number = record.transformer.num_transformers or 1
        outputs = ['output'] if number == 1 else [f'output {k + 1}' for k in range(number)]
        labels += [name + text for text in ('input', *outputs)]
    return labels


def _draw_column(
    sample: SheetSample, style: ImageStyle, tile_size: int, margin: float
) -> list[np.ndarray]:
    """The tiles of one sample from top to bottom."""
    tiles = []
    for record in sample.records:
        room = round(margin * tile_size)
        tiles.append(draw_input(record, style, tile_size, room))
        outputs = record.output[0]
        if record.transformer.num_transformers is None:
            outputs = outputs[None]
        for k, output in enumerate(outputs):
            image = fit(map_to_image(output, style, reference=record.input[0]), tile_size)
            height, width = image.shape[:2]
            frame = np.array([[(-1, -1), (width, -1), (width, height), (-1, height)]], float)
            tiles.append(draw_windows(_pad(image, 4), frame + 4, thickness=2, first_color=k))
    return tiles


def draw_input(
    record: TransformerRecord, style: ImageStyle, size: int, margin: int = 0
) -> np.ndarray:
    """What a transformer read, with its windows drawn on it.

    Args:
        record: Of one map, N = 1, with two spatial dimensions.
        style: How maps become images.
        size: Where the longer side of the image goes, in pixels.
        margin: White pixels to add on each side, for windows that reach beyond the image.

    Returns:
        (height, width, 3), uint8, RGB.
    """
    instance_of('record', record, TransformerRecord, 'a TransformerRecord')
    positive_int('size', size)
    whole_number('margin', margin)
    transformer = record.transformer
    theta = record.theta[0]
    if transformer.num_transformers is None:
        theta = theta[None]
    outlines = window_outlines(transformer.grid_generator, theta)
    image = map_to_image(record.input[0], style)
    points = outlines_in_pixels(outlines, image.shape[:2], transformer.align_corners)
    shown = fit(image, size)
    scale = np.array([shown.shape[1] / image.shape[1], shown.shape[0] / image.shape[0]])
    points = (points + 0.5) * scale - 0.5 + margin
    return draw_windows(_pad(shown, margin), points)


def _pad(image: np.ndarray, margin: int) -> np.ndarray:
    """``image`` with blank paper around it."""
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), constant_values=_PAPER)


def _wrap(text: str, width: int) -> str:
    """``text`` with lines that are not wider than ``width`` pixels, if its words allow it."""
    lines = (textwrap.wrap(line, max(width // _CHARACTER, 1)) for line in text.split('\n'))
    return '\n'.join(part for line in lines for part in line)


@dataclass
class _Page:
    """Tiles and texts with places in pixels, on one white figure."""

    columns: list[list[np.ndarray]]
    labels: list[str]
    titles: list[tuple[str, bool | None]]
    heading: str
    gap: int = 10
    texts: list[dict] = field(default_factory=list)

    def render(self) -> np.ndarray:
        widths = [max(tile.shape[1] for tile in column) for column in self.columns]
        titles = [
            (_wrap(title, width), correct)
            for (title, correct), width in zip(self.titles, widths, strict=True)
        ]
        heights = [max(tile.shape[0] for tile in row) for row in zip(*self.columns, strict=True)]
        left = self.gap + 18 * max(label.count('\n') + 1 for label in self.labels)
        top = self.gap + (30 if self.heading else 0)
        top += 20 * max(title.count('\n') + 1 if title else 0 for title, _ in titles)
        xs = np.cumsum([left, *(w + self.gap for w in widths)])
        ys = np.cumsum([top, *(h + self.gap for h in heights)])
        canvas = np.full((ys[-1], xs[-1], 3), _PAPER, np.uint8)
        for column, x, width in zip(self.columns, xs, widths, strict=False):
            for tile, y, height in zip(column, ys, heights, strict=False):
                h, w = tile.shape[:2]
                y0, x0 = y + (height - h) // 2, x + (width - w) // 2
                canvas[y0 : y0 + h, x0 : x0 + w] = tile
        if self.heading:
            self._text(xs[-1] / 2, self.gap, self.heading, size=12, va='top', weight='bold')
        for (title, correct), x, width in zip(titles, xs, widths, strict=False):
            color = {True: _RIGHT, False: _WRONG, None: _INK}[correct]
            self._text(x + width / 2, top - 2, title, size=11, va='bottom', color=color)
        for label, y, height in zip(self.labels, ys, heights, strict=False):
            x = (left + self.gap) / 2
            self._text(x, y + height / 2, label, size=10, va='center', rotation=90)
        return self._print(canvas)

    def _text(self, x: float, y: float, text: str, size: int, **style: object) -> None:
        style = dict(color=_INK, ha='center', fontsize=size, linespacing=1.15) | style
        self.texts.append(dict(x=x, y=y, s=text, **style))

    def _print(self, canvas: np.ndarray) -> np.ndarray:
        height, width = canvas.shape[:2]
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        agg = FigureCanvasAgg(figure)
        figure.figimage(canvas)
        for text in self.texts:
            figure.text(**text | dict(x=text['x'] / width, y=1 - text['y'] / height))
        agg.draw()
        return np.asarray(agg.buffer_rgba())[..., :3].copy()
