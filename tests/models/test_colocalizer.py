"""Co-localisation: encoder, boxes, and digits that are found without a label."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

CLASSIFIER = dict(
    type='ImageClassifier',
    backbone=dict(type='MNISTCNN', in_size=12, channels=(3, 4), kernel_sizes=(3, 3)),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=4),
)
LAYERS = ('backbone.layers.3', 'head.fc')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')
    torch.manual_seed(0)


def encoder(**options):
    return dict(type='ActivationEncoder', classifier=CLASSIFIER, layers=LAYERS, **options)


def colocalizer(generator=None, **options):
    cfg = dict(
        type='STNCoLocalizer',
        transformer=dict(
            loc_net=dict(type='FCLocNet', in_channels=1, in_size=(24, 36), fc_channels=(4,)),
            grid_generator=generator or dict(type='AttentionGridGenerator'),
            out_size=(12, 12),
            init=[0.5, 0.2, -0.1],
        ),
        encoder=encoder(),
        loss=dict(type='TripletHingeLoss'),
    )
    cfg['transformer'].update(options.pop('transformer', {}))
    return MODELS.build(cfg | options)


def test_encoder_concatenates_activations():
    module = MODELS.build(encoder())
    x = torch.rand(2, 1, 12, 12)
    layers = module.classifier.backbone.layers
    convolution = layers[:4](x)
    scores = module.classifier.head.fc(layers(x))
    expected = torch.cat([convolution.flatten(1), scores], dim=1)
    torch.testing.assert_close(module(x), expected)
    scaled = MODELS.build(encoder(normalize=True))
    scaled.load_state_dict(module.state_dict())
    parts = [convolution.flatten(1), scores]
    parts = [part / part.norm(dim=1, keepdim=True) for part in parts]
    torch.testing.assert_close(scaled(x), torch.cat(parts, dim=1))


def test_encoder_is_frozen_and_lets_gradients_through():
    module = MODELS.build(encoder()).train()
    assert not module.training and not module.classifier.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    x = torch.rand(2, 1, 12, 12, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.any()
    with pytest.raises(ValueError, match="head.fc.*got \\['neck'\\]"):
        MODELS.build(dict(encoder(), layers=['neck']))


def test_a_copy_of_an_encoder_works_alone():
    """EMA makes one."""
    module = MODELS.build(encoder())
    x = torch.rand(2, 1, 12, 12)
    expected = module(x)
    torch.testing.assert_close(copy.deepcopy(module)(x), expected)


@pytest.mark.parametrize('align_corners', [False, True])
def test_boxes_are_what_the_transformer_samples(align_corners):
    model = colocalizer(transformer=dict(align_corners=align_corners))
    # In the convention -1 and 1 are the edges of 24 x 36 pixels, or the centres of the outer ones.
    height, width = (23, 35) if align_corners else (24, 36)
    shift = 0.5 if align_corners else 0
    x, y = (shift + (c + 1) / 2 * size for c, size in ((0.2, width), (-0.1, height)))
    expected = torch.tensor([x - width / 4, y - height / 4, x + width / 4, y + height / 4])
    samples = model(torch.rand(3, 1, 24, 36), [DataSample() for _ in range(3)], mode='predict')
    for sample in samples:
        torch.testing.assert_close(sample.pred_box, expected)


def test_boxes_end_at_the_image_and_mirrored_windows_are_boxes_too():
    model = colocalizer()
    theta = torch.tensor([[1.0, 1.0, 0], [-0.5, 0, 0], [1.0, 5.0, 0]])
    boxes = model.boxes(theta, torch.zeros(3, 1, 24, 36))
    assert boxes.tolist() == [[18, 0, 36, 24], [9, 6, 27, 18], [36, 0, 36, 24]]


def test_random_crops_are_cut_out_of_the_image():
    model = colocalizer(random_scale=0.5)
    images = torch.zeros(300, 1, 24, 36)
    images[:, :, :, 18:] = 1
    crops = model.random_crops(images)
    assert crops.shape == (300, 1, 12, 12)
    ones = torch.ones_like(images)
    torch.testing.assert_close(model.random_crops(ones), torch.ones(300, 1, 12, 12))
    part = crops.mean(dim=(1, 2, 3))  # uniform from the left half to the right half
    assert part.min() < 0.03 and part.max() > 0.97
    assert abs(part.mean() - 0.5) < 0.08


def test_loss_is_that_of_crops_and_random_crops_and_trains_the_loc_net_only():
    model = colocalizer()
    images = torch.rand(4, 1, 24, 36)
    torch.manual_seed(1)
    loss = model(images, mode='loss')['loss']
    torch.manual_seed(1)
    random = model.encoder(model.random_crops(images))
    found = model.encoder(model(images))
    torch.testing.assert_close(loss, model.loss_function(found, random))
    loss.backward()
    assert model.transformer.loc_net.regression.bias.grad.all()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())


def test_says_what_is_wrong():
    with pytest.raises(TypeError, match='AttentionGridGenerator.*got Affine'):
        colocalizer(dict(type='AffineGridGenerator'), transformer=dict(init='identity'))
    with pytest.raises(ValueError, match='num_transformers=None, got 2'):
        colocalizer(transformer=dict(num_transformers=2))
    with pytest.raises(ValueError, match='random_scale.*got 0'):
        colocalizer(random_scale=0)
    with pytest.raises(ValueError, match="mode.*got 'x'"):
        colocalizer()(torch.rand(2, 1, 24, 36), mode='x')
