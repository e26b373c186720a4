"""Is loading the bottleneck? python benchmarks/svhn_loading.py configs/svhn/<name>.py.

Prints how many images a second one core loads and on what it spends its time, how many the data
loader of a config delivers with several numbers of workers, and how many the model trains on:
medians over some rounds, with the quartiles in brackets. The loader keeps up if it delivers more.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain.registry import MODELS
from sampler import machine


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('--workers', type=int, nargs='*', default=[1, 2, 4, 8])
    parser.add_argument('--rounds', type=int, default=10, help='to take the median over')
    parser.add_argument('--batches', type=int, default=5, help='in a round')
    parser.add_argument('--loader-only', action='store_true', help='leave the model out')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    return parser.parse_args()


def synchronize() -> None:
    """Waits for a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rate(
    step: Callable[[], object],
    args: argparse.Namespace,
    batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Images a second of ``step``, which deals with one batch, after a few to warm up."""
    for _ in range(3):
        step()
    rates = []
    for _ in range(args.rounds):
        synchronize()
        start = clock()
        for _ in range(args.batches):
            step()
        synchronize()
        rates.append(args.batches * batch_size / (clock() - start))
    low, median, high = statistics.quantiles(rates, n=4)
    return f'{median:8.0f} images/s ({low:.0f}, {high:.0f})'


def by_step(dataset, number: int) -> dict[str, float]:
    """Seconds of one core that each step of the pipeline takes for an image."""
    seconds: dict[str, float] = {}
    for index in torch.randint(len(dataset), (number,)).tolist():
        results = dataset.get_data_info(index)
        for transform in dataset.pipeline.transforms:
            start = time.process_time()
            results = transform(results)
            name = type(transform).__name__
            seconds[name] = seconds.get(name, 0) + (time.process_time() - start) / number
    return seconds


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.default_scope)
    set_multi_processing(**cfg.env_cfg.mp_cfg)  # as training does: one thread a worker
    loader_cfg = cfg.train_dataloader
    size = loader_cfg.batch_size
    print(f'{machine(get_device())}, {args.config}')

    here = Runner.build_dataloader(dict(loader_cfg, num_workers=0, persistent_workers=False))
    dataset, own = here.dataset, iter(here)
    # Its own time: what else the machine does is left out.
    loaded = rate(lambda: next(own), args, size, time.process_time)
    print(f'one core loads: {loaded}', flush=True)
    for name, seconds in by_step(dataset, 10 * size).items():
        print(f'    {1e6 * seconds:5.0f} us an image: {name}', flush=True)
    for workers in args.workers:
        options = dict(dataset=dataset, num_workers=workers, persistent_workers=workers > 0)
        there = iter(Runner.build_dataloader(dict(loader_cfg, **options), seed=0))
        delivered = rate(partial(next, there), args, size)
        print(f'loader, {workers} workers: {delivered}', flush=True)
    if args.loader_only:
        return

    device = get_device()
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.to(device).train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    data = next(own)
    trained = rate(lambda: model.train_step(data, optimizer), args, size)
    print(f'model on {device}: {trained}')


if __name__ == '__main__':
    main()
