import numpy as np
import pytest
import torch
from mmpretrain.models import ClsDataPreprocessor

from mmstn.visualization import ImageStyle, map_to_image
from mmstn.visualization.images import fit


@pytest.mark.parametrize('to_rgb', [True, False])
def test_normalisation_is_undone(to_rgb):
    preprocessor = ClsDataPreprocessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=to_rgb
    )
    loaded = torch.randint(256, (1, 3, 5, 7), dtype=torch.uint8)  # BGR, as mmcv loads it
    seen = preprocessor(dict(inputs=loaded))['inputs'][0]
    picture = map_to_image(seen, ImageStyle.of(preprocessor, bgr=not to_rgb))
    np.testing.assert_array_equal(picture, loaded[0].flip(0).permute(1, 2, 0).numpy())


def test_grey_images():
    preprocessor = ClsDataPreprocessor(mean=[33.0], std=[78.0])
    loaded = torch.randint(256, (1, 1, 5, 7), dtype=torch.uint8)
    seen = preprocessor(dict(inputs=loaded))['inputs'][0]
    picture = map_to_image(seen, ImageStyle.of(preprocessor))
    np.testing.assert_array_equal(picture, loaded[0].expand(3, 5, 7).permute(1, 2, 0).numpy())


def test_without_a_mean_the_range_of_the_reference_is_black_to_white():
    style = ImageStyle.of(ClsDataPreprocessor())
    x = torch.tensor([[[-1.0, 0.0, 1.0]]])
    assert map_to_image(x, style)[0, :, 0].tolist() == [0, 128, 255]
    reference = torch.tensor([[[-1.0, 3.0]]])
    assert map_to_image(x, style, reference)[0, :, 0].tolist() == [0, 64, 128]
    assert (map_to_image(torch.ones(1, 2, 2), style) == 0).all()  # no range at all


def test_a_feature_map_is_the_mean_over_channels_in_false_colours():
    features = torch.zeros(8, 1, 3)
    features[:, 0, 1], features[:4, 0, 2] = 1.0, 1.0
    dark, bright, half = map_to_image(features, ImageStyle([0.0], [255.0]))[0].astype(int)
    # Viridis goes from a dark violet through a blueish green to yellow.
    assert dark[2] > dark[0] > dark[1]
    assert half[1] > half[2] > half[0]
    assert bright[0] > bright[2] and bright[1] > bright[2]


def test_a_small_image_grows_by_a_whole_number():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    fitted = fit(image, 10)
    assert fitted.shape == (6, 9, 3)
    np.testing.assert_array_equal(fitted[1::3, 1::3], image)
    assert (fitted[:3, :3] == image[0, 0]).all()


def test_a_large_image_is_averaged_down():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, ::2] = 200
    fitted = fit(image, 20)
    assert fitted.shape == (10, 20, 3) and (fitted == 100).all()
