import numpy as np
import pytest
import torch

from mmstn.models import SpatialTransformer
from mmstn.visualization import (
    COLORS,
    ImageStyle,
    SheetSample,
    draw_input,
    draw_sheet,
    record_transformers,
)
from mmstn.visualization.sheet import _labels

STYLE = ImageStyle([0.0], [255.0])


def record(x, init, **kwargs):
    transformer = SpatialTransformer(
        dict(type='ConvLocNet', in_channels=x.shape[1], downsample=1, kernel_sizes=3),
        dict(type='AffineGridGenerator'),
        init=init,
        **kwargs,
    )
    with record_transformers(transformer) as records, torch.no_grad():
        transformer(x)
    return records[0]


def test_the_window_stands_on_the_input_where_it_must():
    # Half as large, centred at (0.25, -0.25): from x = -0.25 to 0.75 and y = -0.75 to 0.25.
    sample = record(torch.zeros(1, 1, 32, 32), [0.5, 0, 0.25, 0, 0.5, -0.25])
    picture = draw_input(sample, STYLE, size=128, margin=10)
    assert picture.shape == (148, 148, 3)
    assert (picture[:10] == 255).all() and (picture[20:130, 11:40] == 0).all()
    left, right = (int(10 + 64 * (1 + x)) for x in (-0.25, 0.75))
    top, bottom = (int(10 + 64 * (1 + y)) for y in (-0.75, 0.25))
    x, y = (left + right) // 2, (top + bottom) // 2
    # The line lies on the edge between two pixels and covers both.
    for across in (0, 1):
        for point in [(top - across, x), (bottom - across, x), (y, left - across)]:
            assert picture[point].tolist() == list(COLORS[0])
        assert picture[y, right - across].tolist() == list(COLORS[0])
    assert (picture[y, x] == 0).all()


def rows_with(picture, color):
    return np.flatnonzero((picture == color).all(-1).any(1))


def test_k_windows_and_their_outputs_share_colours():
    x = torch.zeros(2, 1, 28, 28)
    x[:, :, :14, :14] = 1.0  # what the first of four windows shows
    batch = record(x, 'tile', num_transformers=4)
    sheet = draw_sheet(
        [SheetSample([batch.sample(i)]) for i in range(2)], STYLE, tile_size=112, margin=0
    )
    # From top to bottom: the input, then an output in a frame of each colour.
    ends = [rows_with(sheet, COLORS[k]).max() for k in range(4)]
    assert min(np.diff(ends)) > 112
    middles = [sheet[end - 60] for end in ends]
    white = [(middle[40:] == 255).all(-1).sum() for middle in middles]
    black = [(middle[40:] == 0).all(-1).sum() for middle in middles]
    assert white[0] > 2 * 100 and black[0] == 0
    assert min(black[1:]) > 2 * 80


def test_transformers_in_series_follow_each_other():
    first, second = (record(torch.rand(1, 1, 28, 28), 'identity') for _ in range(2))
    first.name, second.name = 'front', 'before.layer3'
    one = draw_sheet([SheetSample([first])], STYLE)
    two = draw_sheet([SheetSample([first, second])], STYLE)
    assert two.shape[0] == pytest.approx(2 * one.shape[0], abs=20)


def red_rows(picture):
    return np.flatnonzero((picture[..., 0].astype(int) - picture[..., 2] > 100).any(1))


def test_texts_make_room_for_themselves():
    sample = record(torch.rand(1, 1, 28, 28), 'identity')
    plain = draw_sheet([SheetSample([sample])], STYLE)
    titled = draw_sheet([SheetSample([sample], 'a\nb', correct=False)], STYLE, title='iteration 3')
    added = titled.shape[0] - plain.shape[0]
    assert added > 40
    np.testing.assert_array_equal(titled[added + 10 :], plain[10:])
    # The title of a wrong prediction is red; everything red below are the windows.
    assert red_rows(titled)[0] < added < red_rows(plain)[0] + added


def test_a_long_title_is_broken_into_lines():
    sample = record(torch.rand(1, 1, 28, 28), 'identity')
    short = draw_sheet([SheetSample([sample], 'bird')], STYLE)
    long = draw_sheet([SheetSample([sample], 'black footed albatross of the north')], STYLE)
    assert long.shape[1] == short.shape[1] and long.shape[0] > short.shape[0]


def test_a_long_title_stays_above_its_column():
    sample = record(torch.rand(1, 1, 28, 28), 'identity')
    name = 'Ruby throated Hummingbird commonly taken for Common Yellowthroat'
    alone = draw_sheet([SheetSample([sample], name)], STYLE)
    both = draw_sheet([SheetSample([sample], name), SheetSample([sample])], STYLE)
    added = both.shape[0] - draw_sheet([SheetSample([sample])], STYLE).shape[0]
    assert (both[:added, : alone.shape[1]] < 255).any()
    assert (both[:added, alone.shape[1] :] == 255).all()


def test_images_of_different_sizes_and_shapes():
    samples = [
        SheetSample([record(torch.rand(1, 3, *size), 'identity', out_size=(20, 30))])
        for size in [(40, 60), (300, 200), (10, 9)]
    ]
    sheet = draw_sheet(samples, tile_size=100)
    assert sheet.dtype == np.uint8 and sheet.shape[1] > 3 * 100 and sheet.shape[0] > 160


@pytest.mark.parametrize('samples', [[], [SheetSample([])]])
def test_nothing_to_draw(samples):
    with pytest.raises(ValueError, match='samples must be'):
        draw_sheet(samples)


def test_labels_tell_transformers_apart_and_are_short():
    """A label as long as a module's full name would run into those above and below."""
    x = torch.zeros(1, 1, 8, 8)
    first, second = record(x, 'identity'), record(x, 'tile', num_transformers=2)
    assert _labels(SheetSample([first])) == ['input', 'output']
    first.name, second.name = 'backbone.before.conv1', 'backbone.before.conv2'
    expected = ['conv1\ninput', 'conv1\noutput']
    expected += ['conv2\ninput', 'conv2\noutput 1', 'conv2\noutput 2']
    assert _labels(SheetSample([first, second])) == expected
    first.name = 'backbone.transformer'
    assert _labels(SheetSample([first, second]))[2] == 'before.conv2\ninput'
