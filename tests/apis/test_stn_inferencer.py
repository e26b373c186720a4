import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

from mmstn.apis import STNInferencer
from mmstn.visualization import COLORS


def make_config(in_channels=1, num_transformers=None, init=(0.5, 0, 0.25, 0, 0.5, -0.25)):
    mean = [100.0] * in_channels
    return Config(
        dict(
            model=dict(
                type='ImageClassifier',
                data_preprocessor=dict(mean=mean, std=[50.0] * in_channels, to_rgb=True),
                backbone=dict(
                    type='STNBackbone',
                    transformer=dict(
                        loc_net=dict(type='ConvLocNet', in_channels=in_channels, in_size=28),
                        grid_generator=dict(type='AffineGridGenerator'),
                        num_transformers=num_transformers,
                        init=init,
                    ),
                    backbone=dict(
                        type='MNISTCNN', in_size=28, in_channels=in_channels, channels=(2, 2)
                    ),
                    fusion='mean',
                ),
                head=dict(type='LinearClsHead', num_classes=10, in_channels=8),
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='MNIST5k',
                    split='test',
                    pipeline=[
                        dict(type='RandomRotation', angle=90, seed=0),
                        dict(type='PackInputs'),
                    ],
                )
            ),
        )
    )


@pytest.fixture
def digit(tmp_path):
    """A picture of something that is not symmetric."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = image[4:8, 12:22] = 250
    path = tmp_path / 'seven.png'
    cv2.imwrite(str(path), image)
    return str(path), image


def test_prediction_theta_and_windows(digit, tmp_path):
    path, image = digit
    config = make_config()
    model = get_model(config, device='cpu')
    checkpoint = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    inferencer = STNInferencer(config, str(checkpoint), device='cpu')
    (result,) = inferencer(path)
    # The pipeline's random rotation is for the test set: the image must arrive as it is.
    x = torch.tensor(image)[None, None]
    with torch.no_grad():
        scores = model(model.data_preprocessor(dict(inputs=x))['inputs'], mode='tensor')
        expected = scores.softmax(1)[0]
    np.testing.assert_allclose(result['pred_scores'], expected.numpy(), rtol=1e-5)
    assert result['pred_label'] == int(expected.argmax())
    assert result['pred_class'].startswith(str(result['pred_label']))
    (transformer,) = result['transformers']
    assert transformer['name'] == 'backbone.transformer'
    np.testing.assert_allclose(transformer['theta'], [0.5, 0, 0.25, 0, 0.5, -0.25])
    np.testing.assert_allclose(transformer['windows'].min(0), [-0.25, -0.75], atol=1e-6)
    np.testing.assert_allclose(transformer['windows'].max(0), [0.75, 0.25], atol=1e-6)
    assert 'picture' not in result


def test_each_image_of_a_batch_has_its_own(digit):
    inferencer = STNInferencer(make_config(num_transformers=2, init='tile'), False, device='cpu')
    torch.nn.init.normal_(inferencer.model.backbone.transformer.loc_net.regression.weight)
    images = [digit[1], digit[1].T.copy(), digit[1][::-1].copy()]
    together = inferencer(images, batch_size=2)
    thetas = [result['transformers'][0]['theta'] for result in together]
    for image, theta in zip(images, thetas, strict=True):
        (alone,) = inferencer(image)
        np.testing.assert_allclose(alone['transformers'][0]['theta'], theta, rtol=1e-4, atol=1e-5)
    assert thetas[0].shape == (2, 6) and not np.allclose(thetas[0], thetas[1], atol=1e-3)
    assert together[0]['transformers'][0]['windows'].shape == (2, 128, 2)


def test_pictures_are_given_and_written(digit, tmp_path):
    inferencer = STNInferencer(make_config(), False, device='cpu')
    out_dir = tmp_path / 'new' / 'pictures'
    (result,) = inferencer(digit[0], draw=True, show_dir=str(out_dir), tile_size=112)
    written = cv2.imread(str(out_dir / 'seven.png'))[..., ::-1]
    np.testing.assert_array_equal(written, result['picture'])
    assert (written == COLORS[0]).all(-1).sum() > 4 * 56


def test_a_picture_does_not_replace_its_image(digit, tmp_path):
    inferencer = STNInferencer(make_config(), False, device='cpu')
    with pytest.raises(ValueError, match='show_dir must be another folder than that of .*seven'):
        inferencer(digit[0], show_dir=str(tmp_path))
    np.testing.assert_array_equal(cv2.imread(digit[0], 0), digit[1])


def test_samples_carry_the_records(digit):
    inferencer = STNInferencer(make_config(), False, device='cpu')
    (sample,) = inferencer(digit[0], return_datasamples=True)
    (record,) = sample.transformers
    assert record.output.shape == (1, 1, 28, 28)


def test_colour_images_stay_in_colour(tmp_path):
    image = np.zeros((28, 28, 3), np.uint8)
    image[..., 2] = 200  # red, as OpenCV has it
    cv2.imwrite(str(tmp_path / 'red.png'), image)
    inferencer = STNInferencer(make_config(in_channels=3), False, device='cpu')
    (result,) = inferencer(str(tmp_path / 'red.png'), draw=True, tile_size=112)
    red = (result['picture'] == (200, 0, 0)).all(-1).sum()
    assert red > 1.5 * 100**2  # input and output


def test_several_labels_or_none(digit, tmp_path):
    """A model with a label for each thing in the picture, of which there may be none."""
    for threshold, number in [(0.0, 10), (1.0, 0)]:
        config = make_config()
        head = dict(type='MultiLabelLinearClsHead', num_classes=10, in_channels=8, thr=threshold)
        config.model.head = head
        inferencer = STNInferencer(config, False, device='cpu')
        out_dir = str(tmp_path / 'drawn')
        (sample,) = inferencer(digit[0], show_dir=out_dir, return_datasamples=True)
        names = inferencer.classes
        expected = [f'{n} ({p:.2f})' for n, p in zip(names, sample.pred_score, strict=True)]
        assert inferencer.title(sample) == ', '.join(expected[:number])
        assert (tmp_path / 'drawn' / 'seven.png').is_file()


@pytest.mark.parametrize('mean', [[100.0], None])
def test_a_grey_model_takes_any_image(digit, tmp_path, mean):
    config = make_config()
    if mean is None:
        config.model.data_preprocessor = dict()
    inferencer = STNInferencer(config, False, device='cpu')
    path, grey = digit
    cv2.imwrite(str(tmp_path / 'colour.png'), np.stack([grey] * 3, axis=-1))
    images = {
        'file': path,
        'file in colour': str(tmp_path / 'colour.png'),
        '(H, W)': grey,
        '(H, W, 1)': grey[..., None],
        '(H, W, 3)': np.stack([grey] * 3, axis=-1),
        '(H, W, 4)': np.stack([grey] * 4, axis=-1),
    }
    results = inferencer(list(images.values()), batch_size=4)
    for name, result in zip(images, results, strict=True):
        np.testing.assert_allclose(
            result['pred_scores'], results[0]['pred_scores'], rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize('mean', [[100.0] * 3, [100.0], None])
def test_a_colour_model_takes_any_image(digit, mean):
    config = make_config(in_channels=3)
    config.model.data_preprocessor = dict() if mean is None else dict(mean=mean, std=mean)
    inferencer = STNInferencer(config, False, device='cpu')
    path, grey = digit
    colour = np.stack([grey] * 3, axis=-1)
    results = inferencer([path, grey, grey[..., None], colour, np.stack([grey] * 4, axis=-1)])
    for result in results:
        np.testing.assert_allclose(result['pred_scores'], results[0]['pred_scores'], rtol=1e-5)


@pytest.mark.parametrize('shape', [(28,), (28, 28, 2), (1, 1, 28, 28)])
def test_what_is_no_image_is_refused(shape):
    inferencer = STNInferencer(make_config(), False, device='cpu')
    with pytest.raises(ValueError, match=r'inputs must be images, \(H, W\) or .*got shape'):
        inferencer(np.zeros(shape, np.uint8))
