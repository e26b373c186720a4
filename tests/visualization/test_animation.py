import numpy as np
import pytest
from PIL import Image

from mmstn.visualization import save_animation


def test_frames_are_shown_in_order(tmp_path):
    files = []
    for i, height in enumerate([20, 30, 20]):
        files.append(tmp_path / f'{i}.png')
        Image.fromarray(np.full((height, 40, 3), 100 * i, np.uint8)).save(files[-1])
    save_animation(files, tmp_path / 'all.gif', seconds=0.2)
    pixels, durations = [], []
    with Image.open(tmp_path / 'all.gif') as animation:
        assert animation.n_frames == 3 and animation.size == (40, 30)
        for i in range(3):
            animation.seek(i)
            frame = animation.convert('RGB')
            pixels.append((frame.getpixel((5, 5))[0], frame.getpixel((5, 29))[0]))
            durations.append(animation.info['duration'])
    assert pixels == [(255, 0), (100, 100), (255, 200)]
    assert durations == [200, 200, 800]


def test_no_pictures(tmp_path):
    with pytest.raises(ValueError, match='pictures must name'):
        save_animation([], tmp_path / 'all.gif')
    assert not (tmp_path / 'all.gif').exists()
