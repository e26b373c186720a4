"""What spatial transformers cost in training: a step of the paper's SVHN network with and without.

    python benchmarks/train_step.py --output train_step.md

Multi has one ST in front of each of the first four convolutions, as in the paper, whose figure is
6 % more time for a step; Single has one in front of the network. The same networks with the
compiled op, with PyTorch's own sampler, and without STs take turns. In a last one STs do not
sample: what is left is the cost of the localisation nets and of the gradient that the first
convolution must now give them.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from sampler import machine
from timing import interleaved, ratio
from torch import Tensor

from mmstn.models import SpatialTransformer

CONFIGS = Path(__file__).parents[1] / 'configs/_base_/models/svhn'


class Step:
    """A backbone with a batch of noise: forward, backward and SGD."""

    def __init__(self, backbone: dict, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.model = MODELS.build(backbone).to(args.device).train()
        self.model.init_weights()
        # The paper has no word of a momentum; at this rate windows stay as large as they start.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-5, weight_decay=5e-4)
        self.images = torch.randn(args.batch_size, 3, args.size, args.size, device=args.device)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        (descriptor,) = self.model(self.images)
        descriptor.square().mean().backward()
        self.optimizer.step()


def pytorchs(transformer: SpatialTransformer) -> SpatialTransformer:
    """The transformer with the sampler that users write."""

    def sample(x: Tensor, theta: Tensor) -> Tensor:
        matrix = transformer.grid_generator.matrix(theta)
        grid = F.affine_grid(matrix, [*x.shape[:2], *transformer.get_out_size(x)], False)
        return F.grid_sample(x, grid, align_corners=False)

    transformer.sample = sample
    return transformer


def nobodys(transformer: SpatialTransformer) -> SpatialTransformer:
    """The transformer without sampling; theta gets a gradient all the same."""
    transformer.sample = lambda x, theta: x + 0 * theta.sum()
    return transformer


def make_steps(args: argparse.Namespace) -> dict[str, Step]:
    kind = f'{"-small" if args.small else ""}_{args.size}px.py'
    plain, single, multi = (
        Config.fromfile(CONFIGS / f'{name}{kind}').model.backbone
        for name in ('cnn', 'st-cnn-single', 'st-cnn-multi')
    )
    if args.channels_last:
        for network in (plain, single.backbone, multi.backbone):
            network.channels_last = True
    steps = {
        'without STs': Step(plain, args),
        'Single, the compiled op': Step(single, args),
        'Multi, the compiled op': Step(multi, args),
    }
    changes = {"Multi, PyTorch's sampler": pytorchs, 'Multi, STs that do not sample': nobodys}
    for name, change in changes.items():
        steps[name] = step = Step(multi, args)
        for module in step.model.modules():
            if isinstance(module, SpatialTransformer):
                change(module)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--size', type=int, default=64, choices=[64, 128])
    parser.add_argument('--small', action='store_true', help='the narrow network')
    parser.add_argument(
        '--channels-last', action='store_true', help='maps with their channels innermost'
    )
    parser.add_argument('--batch-size', type=int, default=128, help="the paper's by default")
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seconds', type=float, default=240, help='for all rounds together')
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help="the process's own time, for one thread on a machine that has other work",
    )
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--output', type=Path, help='writes the table there')
    args = parser.parse_args()
    if args.cpu_time and (args.device != 'cpu' or args.threads > 1):
        parser.error('--cpu-time is for one thread of a CPU')
    torch.set_num_threads(args.threads)
    init_default_scope('mmpretrain')
    clock = time.process_time if args.cpu_time else time.perf_counter
    times = interleaved(make_steps(args), args.seconds, clock=clock)
    plain = times['without STs']
    header = ['SVHN CNN', 'ms a step', 'times the CNN without STs', 'the fastest steps alone']
    lines = [f'| {" | ".join(header)} |', '|---|--:|--:|--:|']
    for name, seconds in times.items():
        median, low, high = ratio(seconds, plain)
        milliseconds = 1e3 * statistics.median(seconds)
        spread = f'{median:.3f} ({low:.3f}, {high:.3f})'
        lines.append(
            f'| {name} | {milliseconds:.0f} | {spread} | {min(seconds) / min(plain):.3f} |'
        )
    network = f'{"narrow, " if args.small else ""}{args.size} px, batch of {args.batch_size}'
    network += ', channels_last' * args.channels_last
    rounds = f'{args.threads} threads, {len(plain)} rounds{", own time" * args.cpu_time}'
    text = '\n'.join([f'{machine(args.device)}, {network}, {rounds}', '', *lines, ''])
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == '__main__':
    main()
