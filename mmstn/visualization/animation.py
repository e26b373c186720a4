"""Animated GIFs of sheets: how transformers learn."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mmstn.checks import instance_of, number_in, sequence


def save_animation(
    pictures: Sequence[str | Path], out_file: str | Path, seconds: float = 0.5
) -> None:
    """Writes pictures as an animated GIF that loops and rests on the last one.

    Args:
        pictures: Files in the order to show them. Where they differ in size they stand on the same
            lower left corner.
        out_file: The GIF to write.
        seconds: How long to show each; the last one four times as long.

    Raises:
        ValueError: If there are no pictures, or ``seconds`` is not above 0.
    """
    number_in('seconds', seconds, '(0, inf)')
    instance_of('out_file', out_file, (str, Path), 'the name of a file')
    if not sequence('pictures', pictures, 'names of files'):
        raise ValueError('pictures must name at least one file, got none')
    for picture in pictures:
        instance_of('pictures', picture, (str, Path), 'names of files')
    images = [Image.open(picture).convert('RGB') for picture in pictures]
    size = (max(image.width for image in images), max(image.height for image in images))
    frames = []
    for image in images:
        frame = Image.new('RGB', size, 'white')
        frame.paste(image, (0, size[1] - image.height))
        frames.append(frame.quantize(64, dither=Image.Dither.NONE))
    milliseconds = [round(1000 * seconds)] * len(frames)
    milliseconds[-1] *= 4
    frames[0].save(
        out_file,
        format='GIF',
        save_all=True,
        append_images=frames[1:],
        duration=milliseconds,
        loop=0,
    )
