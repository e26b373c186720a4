"""What a training step of the CUB models costs: time, memory, and the sampler's share.

    python benchmarks/cub_step.py --batch-size 32
    python benchmarks/cub_step.py configs/cub/4x-st-inception-v2_8xb32-30k_cub-448_cp.py --kept-only

Each model is measured with the compiled op ("auto") and with PyTorch's sampler, in turns. On a GPU
memory is the peak that torch has allocated. What a step keeps for its backward pass ("kept") is
counted tensor by tensor on any device, and grows in proportion to the batch; with weights,
gradients and momentum it makes the sum in the last column, an estimate for the batch size of
--memory-batch-size.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from timing import interleaved, ratio
from torch import Tensor, nn

import mmstn
from mmstn.models import SpatialTransformer

CONFIGS = Path(__file__).parents[1] / 'configs/cub'
DEFAULT = (
    'inception-v2_8xb32-30k_cub-224',
    '2x-st-inception-v2_8xb32-30k_cub-448',
    '4x-st-inception-v2_8xb32-30k_cub-448',
    '4x-st-inception-v2_8xb32-30k_cub-448_cp',
)
GIB = 2**30


def kept_bytes(function) -> int:
    """Bytes of the different tensors that a forward pass keeps, without its parameters."""
    storages: dict[int, tuple[int, Tensor]] = {}  # holding the tensors keeps addresses apart

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = function()
    del loss
    return sum(size for size, _ in storages.values())


class Step:
    """A model with a batch of noise."""

    def __init__(self, config: Path, batch_size: int, device: str) -> None:
        cfg = Config.fromfile(config)
        cfg.model.backbone.init_cfg = None  # speed does not depend on the weights
        size = cfg.train_dataloader.dataset.pipeline[3].crop_size
        self.model = MODELS.build(cfg.model).to(device).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9)
        self.images = torch.randn(batch_size, 3, size, size, device=device)
        self.samples = [DataSample().set_gt_label(0).to(device) for _ in range(batch_size)]

    def loss(self) -> Tensor:
        return self.model(self.images, self.samples, mode='loss')['loss']

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def sampling(self) -> None:
        """Forward and backward pass of the sampling alone.

        The streams ask for no gradient of the image, only of theta; so does this.
        """
        transformer = self.model.backbone.transformer
        theta = transformer.start.expand(len(self.images), -1, -1).clone().requires_grad_()
        transformer.sample(self.images, theta).sum().backward()


def with_backend(backend: str, function: Callable) -> Callable:
    """``function`` with the sampler of ``backend``."""

    def run():
        with mmstn.ops.use_backend(backend):
            return function()

    return run


def peak_of(function: Callable) -> str:
    """The peak of GPU memory in GiB."""
    torch.cuda.reset_peak_memory_stats()
    function()
    return f'{torch.cuda.max_memory_allocated() / GIB:.2f}'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', type=Path)
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5, help='of all that take turns')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--memory-batch-size', type=int, default=32)
    parser.add_argument('--kept-only', action='store_true', help='measure no time')
    args = parser.parse_args()
    init_default_scope('mmpretrain')
    print(f'{args.device}, batch of {args.batch_size}, {torch.get_num_threads()} threads')
    head = f'{"model":48} {"sampler":8} {"step s":>8} {"sampler %":>9} {"peak GiB":>8}'
    print(f'{head} {"kept MiB/image":>14} {f"GiB at {args.memory_batch_size}":>9}')
    for config in args.configs or [CONFIGS / f'{name}.py' for name in DEFAULT]:
        measure(config, args)


def measure(config: Path, args: argparse.Namespace) -> None:
    """Prints a line for each sampler."""
    step = Step(config, args.batch_size, args.device)
    parameters = sum(parameter.numel() for parameter in step.model.parameters())
    has_transformer = any(isinstance(m, SpatialTransformer) for m in step.model.modules())
    backends = ('auto', 'torch') if has_transformer else ('auto',)
    functions = {}
    for backend in backends:
        functions[backend, 'step'] = with_backend(backend, step)
        if has_transformer:
            functions[backend, 'sampling'] = with_backend(backend, step.sampling)
    times = {} if args.kept_only else interleaved(functions, 0, args.rounds)
    for backend in backends:
        seconds = share = peak = '-'
        if times:
            seconds = f'{statistics.median(times[backend, "step"]):.3f}'
        if times and has_transformer:
            share = f'{100 * ratio(times[backend, "sampling"], times[backend, "step"])[0]:.2f}'
        if times and args.device == 'cuda':
            peak = peak_of(functions[backend, 'step'])
        kept = kept_bytes(with_backend(backend, step.loss)) / args.batch_size
        total = (parameters * 3 * 4 + kept * args.memory_batch_size) / GIB
        sampler = backend if has_transformer else '-'
        print(f'{config.stem:48} {sampler:8} {seconds:>8} {share:>9} {peak:>8} ', end='')
        print(f'{kept / 2**20:14.1f} {total:9.2f}', flush=True)


if __name__ == '__main__':
    main()
