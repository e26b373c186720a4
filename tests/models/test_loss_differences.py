"""LossDifferences: an estimate whose mean and variance are known, for every kind of loss."""

import math

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from mmstn.models import LossDifferences, SpatialTransformer, TripletHingeLoss
from mmstn.models import loss_differences as module_under_test

IMAGES = 40_000
FREQUENCY = 3.0


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')
    torch.manual_seed(0)


class OwnTheta(nn.Module):
    """A localisation net that has a theta for each image."""

    def __init__(self, theta, num_images):
        super().__init__()
        self.value = nn.Parameter(torch.as_tensor(theta).repeat(num_images, 1))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.value


class Cosine(nn.Module):
    """The mean or the sum of cos(b v)."""

    def __init__(self, reduction='mean'):
        super().__init__()
        self.reduction = reduction

    def forward(self, v):
        losses = (FREQUENCY * v).cos()
        return {'mean': losses.mean(), 'sum': losses.sum(), 'none': losses}[self.reduction]


class Toy(nn.Module):
    """The loss cos(b t_x): the image is a ramp, which shows where the window looks."""

    def __init__(self, theta=(0.1, 0.0), num_images=IMAGES, **options):
        super().__init__()
        self.transformer = SpatialTransformer(
            loc_net=OwnTheta(theta, num_images),
            grid_generator=dict(type='TranslationGridGenerator'),
            out_size=(1, 1),
        )
        self.loss_module = Cosine(**options)
        ramp = (torch.arange(64) - 31.5) / 32  # a pixel's value is its x
        self.images = ramp.repeat(num_images, 1, 1, 1).expand(-1, 1, 2, -1)

    def loss(self, images):
        return dict(loss=self.loss_module(self.transformer(images).flatten()))


def slopes(model, **options):
    """dl/dtheta of each image, (N, 2)."""
    losses = LossDifferences(model, **options)(model.loss, model.images)
    losses['loss'].backward()
    scale = len(model.images) if model.loss_module.reduction == 'mean' else 1
    return model.transformer.loc_net.value.grad * scale


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('step', [0.03, 0.2])
def test_mean_and_variance_of_a_loss_known_in_closed_form(step, reduction):
    """For l = cos(b t) the estimate is -sin(b t) sin(b d) d / s^2, whose moments are Gaussian."""
    t, b, s = 0.1, FREQUENCY, step
    found = slopes(Toy((t, 0.0), reduction=reduction), step=step)[:, 0].double()
    mean = -math.sin(b * t) * b * math.exp(-((b * s) ** 2) / 2)  # of the loss smoothed by N(0, s^2)
    second = s**2 - (s**2 - 4 * b**2 * s**4) * math.exp(-2 * (b * s) ** 2)
    variance = math.sin(b * t) ** 2 / (2 * s**4) * second - mean**2
    assert abs(found.mean().item() - mean) < 4 * math.sqrt(variance / IMAGES)
    assert found.var().item() == pytest.approx(variance, rel=0.05)


def test_a_parameter_that_changes_nothing_has_no_slope_in_the_mean():
    found = slopes(Toy(), step=0.1)[:, 1]
    assert abs(found.mean().item()) < 4 * (found.var() / IMAGES).sqrt().item()


def test_a_step_for_each_parameter():
    narrow, wide = (slopes(Toy(), step=step)[:, 0].mean() for step in ([0.05, 0.1], [0.2, 0.1]))
    b = FREQUENCY
    for found, s in ((narrow, 0.05), (wide, 0.2)):
        mean = -math.sin(b * 0.1) * b * math.exp(-((b * s) ** 2) / 2)
        assert found.item() == pytest.approx(mean, abs=0.03)


def test_the_derivative_can_be_added():
    without, with_it = (slopes(Toy(), step=0.1, derivative=each) for each in (0.0, 0.5))
    # The derivative, too, is taken at the moved windows, the mean of both sides.
    noise = 0.1 * LossDifferences(Toy(), step=0.1).noise(torch.zeros(IMAGES, 2), 0, 0)[:, 0]
    b, t = FREQUENCY, 0.1
    derivative = -b * (torch.sin(b * (t + noise)) + torch.sin(b * (t - noise))) / 2
    torch.testing.assert_close(
        with_it[:, 0] - without[:, 0], 0.5 * derivative, rtol=0.02, atol=0.02
    )


def test_the_value_is_the_mean_of_both_sides_and_evaluation_is_as_ever():
    model = Toy(num_images=8)
    differences = LossDifferences(model, step=0.1)
    noise = 0.1 * differences.noise(torch.zeros(8, 2), 0, 0)[:, 0]
    expected = (
        (torch.cos(FREQUENCY * (0.1 + noise)) + torch.cos(FREQUENCY * (0.1 - noise))) / 2
    ).mean()
    torch.testing.assert_close(
        differences(model.loss, model.images)['loss'], expected, rtol=1e-4, atol=1e-5
    )
    plain = model.loss(model.images)['loss']
    with torch.no_grad():
        assert torch.equal(differences(model.loss, model.images)['loss'], plain)
    assert torch.equal(model.loss(model.images)['loss'], plain)  # nothing stays behind


def test_it_locates_once_where_the_image_is_read():
    model = Toy(num_images=2)
    LossDifferences(model)(model.loss, model.images)
    assert model.transformer.loc_net.calls == 1


def test_noise_depends_on_iteration_and_place_but_not_on_processes(monkeypatch):
    differences = LossDifferences(Toy(num_images=2))
    theta = torch.zeros(6, 3)
    alone = differences.noise(theta, 0, 0)
    assert torch.equal(alone, differences.noise(theta, 0, 0))
    for other in (differences.noise(theta, 1, 0), differences.noise(theta, 0, 1)):
        assert not torch.equal(alone, other)
    monkeypatch.setattr(module_under_test, 'get_world_size', lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(module_under_test, 'get_rank', lambda rank=rank: rank)
        assert torch.equal(differences.noise(theta[:3], 0, 0), alone[rank::2])
    differences.iteration = 1
    assert not torch.equal(differences.noise(theta[:3], 0, 0), alone[1::2])


def classifier(head):
    loc_net = dict(type='FCLocNet', in_channels=1, in_size=16, fc_channels=(4,))
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='STNBackbone',
                backbone=dict(type='MNISTCNN', in_size=16, channels=(3, 4), kernel_sizes=(3, 3)),
                transformer=dict(loc_net=loc_net, grid_generator=dict(type='AffineGridGenerator')),
            ),
            head=head,
        )
    )


def labels(kind):
    samples = [DataSample() for _ in range(6)]
    for i, sample in enumerate(samples):
        if kind == 'multi':
            sample.set_gt_label(torch.tensor([i % 3, 3]))
        elif kind == 'number':
            sample.set_gt_label(torch.tensor([i % 3, 9, 10]))
        else:
            sample.set_gt_label(i % 4)
    return samples


SMOOTH = dict(type='LabelSmoothLoss', label_smooth_val=0.1, num_classes=4)
WEIGHTED = dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0, 4.0], loss_weight=0.5)
HEADS = {
    'single': dict(type='LinearClsHead', num_classes=4, in_channels=16),
    'smooth': dict(type='LinearClsHead', num_classes=4, in_channels=16, loss=SMOOTH),
    'weighted': dict(type='LinearClsHead', num_classes=4, in_channels=16, loss=WEIGHTED),
    'multi': dict(type='MultiLabelLinearClsHead', num_classes=4, in_channels=16),
    'number': dict(type='NumberHead', num_places=3, in_channels=16),
}


@pytest.mark.parametrize('kind', HEADS)
def test_the_gradient_takes_the_loss_of_each_image(kind):
    """Against the losses of batches of one image."""
    model = classifier(HEADS[kind])
    model.init_weights()
    images, samples = torch.rand(6, 1, 16, 16), labels(kind)
    differences = LossDifferences(model, step=0.3)
    thetas = []
    transformer = model.backbone.transformer
    hook = transformer.theta.register_forward_hook(lambda m, args, theta: thetas.append(theta))
    losses = differences(model.loss, images, samples)
    hook.remove()
    gradient = sum(torch.autograd.grad(losses['loss'], thetas))  # half from either side

    d = 0.3 * differences.noise(thetas[0].detach(), 0, 0)
    expected = []
    for i in range(6):
        sides = []
        for sign in (1, -1):

            def move(module, args, theta, sign=sign, i=i):
                return theta + sign * d[i]

            hook = transformer.theta.register_forward_hook(move)
            with torch.no_grad():
                sides.append(model.loss(images[i : i + 1], samples[i : i + 1])['loss'])
            hook.remove()
        expected.append((sides[0] - sides[1]) / 6 / (2 * 0.3**2) * d[i])
    torch.testing.assert_close(gradient, torch.stack(expected), rtol=1e-3, atol=1e-5)


def test_pairs_of_images_count_for_both():
    found, random = torch.rand(5, 4), torch.rand(5, 4)
    for reduction in ('mean', 'sum'):
        loss = TripletHingeLoss(margin=0.2, reduction=reduction, loss_weight=3.0)
        whole = loss(found, random)
        for n in range(5):
            others = [m for m in range(5) if m != n]
            rest = TripletHingeLoss(0.2, 'sum', 3.0)(found[others], random[others])
            rest = rest / (20 if reduction == 'mean' else 1)
            torch.testing.assert_close(loss.by_image(found, random)[n], whole - rest)


class Dropping(Toy):
    def loss(self, images):
        samples = nn.functional.dropout(self.transformer(images).flatten(), 0.5)
        return dict(loss=self.loss_module(samples))


def test_both_sides_drop_the_same_features():
    """Other features dropped on either side would count as slopes of up to 1 / step."""
    found = slopes(Dropping(num_images=1000), step=1e-3)[:, 0]
    assert found.count_nonzero() > 300
    assert found.abs().max() < 100


def test_errors_name_the_argument():
    model = Toy(num_images=2)
    with pytest.raises(ValueError, match=r'transformers must name .*\btransformer\b.*got .*other'):
        LossDifferences(model, transformers=['other'])
    with pytest.raises(ValueError, match='step must be .* got 0'):
        LossDifferences(model, step=0)
    with pytest.raises(TypeError, match='step must be .* got None'):
        LossDifferences(model, step=None)
    with pytest.raises(ValueError, match='derivative must be .* got -1'):
        LossDifferences(model, derivative=-1)
    del model.loss_module.reduction
    with pytest.raises(ValueError, match='modules with an attribute reduction'):
        LossDifferences(model)(lambda x: dict(loss=model.transformer(x).sum()), model.images)
