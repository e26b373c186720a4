"""NonFiniteHook: stops a run in which numbers have gone wrong, and says where they first did."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn

from mmstn.models import listen
from mmstn.models.listening import unwrap

TOO_LARGE_A_STEP = (
    'the steps are too large (lower the learning rate, warm it up, clip gradients) or something '
    'divides by zero or overflows in half precision'
)


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Looks for NaN and infinity in the input, theta, gradients, weights and loss of every step.

    A transformer whose theta is not a number shows nothing, a classifier that is shown nothing
    settles at the loss of guessing, and the run goes on to its end. Here it ends at once, before
    the weights are touched: the message names the step, the image or the part of the model that was
    the first to go wrong and the likely cause; the batch lies in ``non_finite_iter_<step>.pth`` of
    the work folder, with the rank in its name where there are several processes. One reduction over
    all these numbers is what it costs.

    Args:
        max_skips: How many bad steps in a row are skipped (no update, running statistics as they
            were) before the run stops. Weights that are not finite always stop it.

    Raises:
        ValueError: If ``max_skips`` is not a whole number >= 0.
        FloatingPointError: In training, when a number is not finite.
    """

    def __init__(self, max_skips: int = 0) -> None:
        if not isinstance(max_skips, int) or isinstance(max_skips, bool) or max_skips < 0:
            raise ValueError(f'max_skips must be a whole number >= 0, got {max_skips!r}')
        self.max_skips = max_skips
        self._skipped = 0  # in a row
        self._thetas: dict[str, Tensor] = {}
        self._losses: dict[str, Tensor] = {}
        self._hooks = ExitStack()

    def before_train(self, runner: Runner) -> None:
        """Listens to the transformers and comes before every step of an optimizer."""
        self._hooks.close()
        self._skipped = 0

        def keep(name: str, _: nn.Module, x: Tensor, theta: Tensor, *others: Any) -> None:
            self._thetas[name] = theta.detach()

        if not _is_compiled(runner):  # to listen is to run without compiled code
            self._hooks = listen(runner.model, keep)

            def keep_losses(_: nn.Module, args: tuple, output: Any) -> None:
                if isinstance(output, dict):
                    self._losses = {k: x.detach() for k, x in output.items() if _is_real(x)}

            handle = unwrap(runner.model).register_forward_hook(keep_losses)
            self._hooks.callback(handle.remove)
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        for optimizer in (wrapper.optimizer for wrapper in wrappers):
            handle = optimizer.register_step_pre_hook(
                lambda optimizer, *_: self._before_step(runner, optimizer)
            )
            self._hooks.callback(handle.remove)

    def after_train(self, runner: Runner) -> None:
        """Removes the hooks."""
        self._hooks.close()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Looks at the input, if it holds real numbers."""
        self._batch = data_batch
        self._bad = False
        self._thetas.clear()
        self._losses.clear()
        if self.max_skips:
            self._buffers = {name: x.clone() for name, x in _buffers(runner)}
        floats = [x for x in _tensors(data_batch) if x.is_floating_point()]
        # A sum is quicker than a look at every number; it may overflow, then they are looked at.
        if not all(x.sum().isfinite() or x.isfinite().all() for x in floats):
            self._go_wrong(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Looks at the losses once more: not every step of training is one of the optimizer."""
        self._losses |= {name: x for name, x in (outputs or {}).items() if _is_real(x)}
        if not self._bad and not _all_finite(list(self._losses.values())):
            self._go_wrong(runner)
        if self._bad:
            for name, buffer in _buffers(runner):
                buffer.copy_(self._buffers[name])
        else:
            self._skipped = 0

    def _before_step(self, runner: Runner, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        if not self._bad:
            numbers = [p.detach() for p in parameters]
            numbers += [p.grad for p in parameters if p.grad is not None]
            if not _all_finite([*numbers, *self._thetas.values(), *self._losses.values()]):
                self._go_wrong(runner)
        if self._bad:
            for parameter in parameters:
                parameter.grad = None  # which optimizers pass over

    def _go_wrong(self, runner: Runner) -> None:
        """Stops the run, or notes that this step is to be skipped."""
        what, cause, is_final = self._first_culprit(runner)
        path = self._save_batch(runner)
        message = f'step {runner.iter + 1}: {what}. Likely cause: {cause}. The batch: {path}'
        self._skipped += 1
        if is_final or self._skipped > self.max_skips:
            raise FloatingPointError(f'{message}. No checkpoint has been touched')
        self._bad = True
        runner.logger.warning(f'{message}. This step is skipped')

    def _first_culprit(self, runner: Runner) -> tuple[str, str, bool]:
        """What went wrong first, the likely cause, and whether it is beyond repair."""
        model = unwrap(runner.model)
        if bad := self._bad_samples():
            return f'the input is not finite in {", ".join(bad)}', 'the data', False
        for name, parameter in model.named_parameters():
            if not parameter.isfinite().all():
                return f'the weights {name} are not finite', TOO_LARGE_A_STEP, True
        rates = {f'{x:g}' for values in runner.optim_wrapper.get_lr().values() for x in values}
        cause = f'{TOO_LARGE_A_STEP}; the learning rate is {" and ".join(sorted(rates))}'
        module, parameter = self._run_again(runner, model)
        first = f', first in the output of {module}' if module else ''
        for name, theta in self._thetas.items():
            if bad := [self._describe_sample(i) for i in _bad_indices(theta)]:
                return f'theta of {name} is not finite for {", ".join(bad)}{first}', cause, False
        if module:
            return f'the output of {module} is not finite', cause, False
        for name, loss in self._losses.items():
            if not loss.isfinite().all():
                return f'{name} is not finite', cause, False
        return f'the gradient of {parameter or "a weight"} is not finite', cause, False

    def _run_again(self, runner: Runner, model: nn.Module) -> tuple[str | None, str | None]:
        """Runs the batch once more, to see where it goes wrong first.

        Returns:
            The first module whose output is not finite; and of the weights whose gradient is not,
            before it is clipped, the last one, which the backward pass meets first.
        """
        if not isinstance(model, BaseModel):
            return None, None
        modules: list[str] = []
        with ExitStack() as hooks, torch.enable_grad(), runner.optim_wrapper.optim_context(model):
            for name, module in model.named_modules():

                def look(_: nn.Module, args: Any, output: Any, name: str = name) -> None:
                    if name and not modules and not _all_finite(list(_tensors(output))):
                        modules.append(name)

                hooks.callback(module.register_forward_hook(look).remove)
            losses = model._run_forward(model.data_preprocessor(self._batch, True), mode='loss')
            loss, _ = model.parse_losses(losses)
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        bad = [
            name
            for name, gradient in zip(parameters, gradients, strict=True)
            if gradient is not None and not _all_finite([gradient])
        ]
        return modules[0] if modules else None, bad[-1] if bad else None

    def _bad_samples(self) -> list[str]:
        inputs = self._inputs()
        if isinstance(inputs, list):  # one tensor a sample
            bad = [i for i, x in enumerate(inputs) if not _all_finite(list(_tensors(x)))]
        else:
            bad = sorted({i for x in _tensors(inputs) for i in _bad_indices(x)})
        return [self._describe_sample(i) for i in bad]

    def _inputs(self) -> Any:
        return self._batch.get('inputs', self._batch) if isinstance(self._batch, dict) else None

    def _describe_sample(self, index: int) -> str:
        """A sample by its number in the batch and, where it has one, the path of its image."""
        samples = self._batch.get('data_samples') if isinstance(self._batch, dict) else None
        sample = samples[index] if isinstance(samples, Sequence) and index < len(samples) else None
        path, number = (getattr(sample, name, None) for name in ('img_path', 'sample_idx'))
        known = [str(x) for x in (path, None if number is None else f'number {number}') if x]
        return f'sample {index} of the batch' + (f' ({", ".join(known)})' if known else '')

    def _save_batch(self, runner: Runner) -> Path:
        process = f'_rank_{get_rank()}' if get_world_size() > 1 else ''
        path = Path(runner.work_dir) / f'non_finite_iter_{runner.iter + 1}{process}.pth'
        inputs = self._inputs()
        size = 0 if inputs is None else len(inputs)
        samples = [self._describe_sample(i) for i in range(size)]
        torch.save(dict(inputs=inputs, samples=samples, theta=dict(self._thetas)), path)
        return path


def _is_compiled(runner: Runner) -> bool:
    names = (name for name, _ in runner.model.named_modules())
    return bool(runner.cfg.get('compile')) or any('_orig_mod' in name for name in names)


def _buffers(runner: Runner) -> Iterator[tuple[str, Tensor]]:
    return unwrap(runner.model).named_buffers()


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _bad_indices(x: Tensor) -> list[int]:
    """The indices along the first dimension at which something is not finite."""
    return (~x.isfinite()).reshape(len(x), -1).any(1).nonzero().flatten().tolist() if x.ndim else []


def _all_finite(tensors: list[Tensor]) -> bool:
    """One number for all: a norm is finite only if its tensor is."""
    tensors = [x for x in tensors if x.numel() and x.is_floating_point()]
    if not tensors:
        return True
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(tensors)])
    # Squares overflow before numbers do.
    return bool(norms.isfinite().all()) or all(bool(x.isfinite().all()) for x in tensors)
