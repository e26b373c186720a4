"""LossDifferences: theta's gradient from the loss on both sides of each window."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from mmstn.checks import number_in, numbers_in, strings, whole_number

from .listening import find_transformers, unwrap
from .spatial_transformer import SpatialTransformer


class LossDifferences:
    """Trains localisation nets by differences of the loss, not by the sampler's derivative.

    The derivative of a sample (equations (6) and (7) of the paper) compares neighbouring pixels: it
    knows what a shift of less than a pixel does to the loss, which is mostly noise. This takes the
    loss at its word over a step of many pixels. For each image, transformer and parameter::

        d ~ N(0, step^2)
        l+, l- = the loss of the image with theta + d, and with theta - d
        gradient of theta := (l+ - l-) / (2 step^2) * d

    It is an unbiased estimate of the gradient of the loss smoothed by N(0, step^2) (simultaneous
    perturbation, Spall 1992; antithetic evolution strategies, Salimans et al. 2017). No derivative
    of the sampler is in it, so it serves ``mode='nearest'`` too. The rest of the network learns
    from the mean of both losses, as ever.

    A training step costs a second pass of all that comes after the transformers; inference is
    unchanged. Both passes use the same random numbers (dropout, random crops), which would else
    count as differences. A transformer that reads the image locates once for both.

    Args:
        model: The model. Its loss modules must have an attribute ``reduction``, as those of
            mmpretrain and PyTorch do, so that they can be asked for the loss of each image. A loss
            of pairs of images needs a method ``by_image`` that gives what depends on each, (N,).
        step: The deviation of d, one for all parameters or (P,), in units of theta: halves of the
            image for translations and control points, parts of it for scales, radians.
        derivative: How much of the sampler's own derivative is added.
        transformers: Names of the transformers that are trained this way; None for all.
        seed: Of d, which is a function of it, of :attr:`iteration` and of the image's place in the
            batch of all processes.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or the model has no such transformer.
    """

    def __init__(
        self,
        model: nn.Module,
        step: float | Sequence[float] = 0.15,
        derivative: float = 0.0,
        transformers: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        found = find_transformers(model)
        names = list(found) if transformers is None else strings('transformers', transformers)
        if not names or not set(names) <= set(found):
            raise ValueError(
                f'transformers must name spatial transformers of the model ({list(found)}), '
                f'got {transformers!r}'
            )
        self.transformers = [found[name] for name in names]
        self.loss_modules = [
            module
            for module in unwrap(model).modules()
            if isinstance(getattr(module, 'reduction', None), str)
        ]
        self.step = step
        self.derivative = number_in('derivative', derivative, '[0, inf)')
        self.seed = whole_number('seed', seed)
        self.iteration = 0

    @property
    def step(self) -> float | Sequence[float]:
        """The deviation of d; it may change from iteration to iteration."""
        return self._step

    @step.setter
    def step(self, step: float | Sequence[float]) -> None:
        self._step = check_step(step)

    def __call__(self, loss: Callable[..., dict], *args, **kwargs) -> dict:
        """The losses of a batch, with another gradient for theta.

        Args:
            loss: What gives the model's losses, such as its ``loss``.
            *args: What ``loss`` takes.
            **kwargs: Likewise.

        Returns:
            The means of the losses on both sides; the first carries theta's gradient.

        Raises:
            ValueError: If no loss module is called, or one gives no loss of each image.
        """
        if not torch.is_grad_enabled():
            return loss(*args, **kwargs)
        movers = [_Mover(self, number, st) for number, st in enumerate(self.transformers)]
        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices), _moved(movers, 1), self._by_image(movers) as above:
            first = loss(*args, **kwargs)
        with _moved(movers, -1), self._by_image(movers) as below:
            second = loss(*args, **kwargs)
        if not above:
            raise ValueError(
                'the loss must come from modules with an attribute reduction, got '
                f'{[type(module).__name__ for module in self.loss_modules]} and none of them called'
            )
        rise = sum(above) - sum(below)  # l+ - l- of each image
        towards = sum(mover.towards(rise) for mover in movers)
        losses = {name: _mean(value, second[name]) for name, value in first.items()}
        name = next(name for name in losses if 'loss' in name)
        nothing = towards - towards.detach()  # but for its gradient
        value = losses[name]
        losses[name] = value + nothing if isinstance(value, Tensor) else [*value, nothing]
        return losses

    def noise(self, theta: Tensor, number: int, call: int) -> Tensor:
        """d / step of one call of transformer ``number``, of the shape of ``theta``."""
        entropy = [self.seed, self.iteration, number, call]
        (seed,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seed) >> 1)
        # Drawn for the batch of all processes, whose images mmengine's samplers deal out in turns.
        world = get_world_size()
        whole = torch.randn(len(theta) * world, *theta.shape[1:], generator=generator)
        return whole[get_rank() :: world].to(theta)

    @contextmanager
    def _by_image(self, movers: list[_Mover]) -> Iterator[list[Tensor]]:
        """A list that fills with the loss of each image, (N,), at each call of a loss module."""
        shares: list[Tensor] = []
        depth = 0  # a loss module may be made of others

        def enter(*_) -> None:
            nonlocal depth
            depth += 1

        def leave(module: nn.Module, args: tuple, kwargs: dict, total: Tensor) -> None:
            nonlocal depth
            if depth == 1:
                num_images = next(len(mover.thetas[0]) for mover in movers if mover.thetas)
                shares.append(_share_of_images(module, args, kwargs, total, num_images))
            depth -= 1

        with ExitStack() as stack:
            for module in self.loss_modules:
                stack.callback(module.register_forward_pre_hook(enter).remove)
                stack.callback(module.register_forward_hook(leave, with_kwargs=True).remove)
            yield shares


def check_step(step: float | Sequence[float]) -> float | tuple[float, ...]:
    """``step``, if it is a finite number > 0, or some for each parameter."""
    if not isinstance(step, (list, tuple)):
        return number_in('step', step, '(0, inf)')
    if not step:
        raise ValueError(f'step must be a number in (0, inf), or some, got {step!r}')
    return numbers_in('step', step, '(0, inf)')


class _Mover:
    """Moves the thetas of one transformer to one side and to the other."""

    def __init__(
        self, differences: LossDifferences, number: int, transformer: SpatialTransformer
    ) -> None:
        self.differences = differences
        self.number = number
        self.transformer = transformer
        self.sign = 1
        self.located: list[tuple[Tensor, Tensor]] = []  # what the localisation net read and gave
        self.noise: list[Tensor] = []
        self.thetas: list[Tensor] = []  # of all calls on one side, then on the other

    @contextmanager
    def moved(self, sign: int) -> Iterator[None]:
        """Moves every theta by ``sign`` times d."""
        loc_net, self.sign, self.turn = self.transformer.loc_net, sign, -1
        forward = loc_net.forward

        def locate(x: Tensor, *args, **kwargs) -> Tensor:
            self.turn += 1
            if self.sign > 0:
                self.located.append((x, forward(x, *args, **kwargs)))
            read, theta = self.located[self.turn]
            return theta if read is x else forward(x, *args, **kwargs)

        handle = self.transformer.theta.register_forward_hook(self._move)
        loc_net.forward = locate
        try:
            yield
        finally:
            del loc_net.forward
            handle.remove()

    def _move(self, module: nn.Module, args: tuple, theta: Tensor) -> Tensor:
        if self.sign > 0:
            self.noise.append(self.differences.noise(theta, self.number, self.turn))
        self.thetas.append(theta)
        here = theta.detach()
        d = here.new_tensor(self.differences.step) * self.noise[self.turn]
        if self.differences.derivative:
            here = here + self.differences.derivative * (theta - here)
        return here + self.sign * d

    def towards(self, rise: Tensor) -> Tensor:
        """A number whose gradient is that of theta, given l+ - l- of each image, (N,)."""
        total = 0
        for theta, noise in zip(self.thetas, 2 * self.noise, strict=True):
            step = theta.detach().new_tensor(self.differences.step)
            slope = rise.view(-1, *[1] * (theta.dim() - 1)) / (2 * step) * noise
            total = total + (slope * theta).sum() / 2  # half from either side
        return total


@contextmanager
def _moved(movers: list[_Mover], sign: int) -> Iterator[None]:
    with ExitStack() as stack:
        for mover in movers:
            stack.enter_context(mover.moved(sign))
        yield


@torch.no_grad()
def _share_of_images(
    module: nn.Module, args: tuple, kwargs: dict, total: Tensor, num_images: int
) -> Tensor:
    """The part of the loss ``total`` of ``module`` that depends on each image, (N,)."""
    if hasattr(module, 'by_image'):
        return module.by_image(*args, **kwargs)
    if 'reduction_override' in inspect.signature(module.forward).parameters:  # mmpretrain's
        each = module.forward(*args, **{**kwargs, 'reduction_override': 'none'})
    else:
        reduction, module.reduction = module.reduction, 'none'
        try:
            each = module.forward(*args, **kwargs)
        finally:
            module.reduction = reduction
    if each.dim() == 0 or len(each) % num_images:
        raise ValueError(
            f'{type(module).__name__} must give a loss of each of {num_images} images with '
            f"reduction 'none', got shape {tuple(each.shape)}"
        )
    each = each.reshape(num_images, -1).sum(dim=1).float()
    whole = each.sum()  # scaled, so that it adds up to the total whatever the reduction
    return each * torch.where(whole == 0, 0, total.sum() / whole)


def _mean(first: Tensor | Sequence[Tensor], second: Tensor | Sequence[Tensor]) -> Tensor | list:
    if isinstance(first, Tensor):
        return (first + second) / 2
    return [(a + b) / 2 for a, b in zip(first, second, strict=True)]
