"""Is loading the bottleneck? python benchmarks/svhn_loading.py configs/svhn/<name>.py.

Prints how many images a second the data loader of a config delivers, for several numbers of
workers, and how many the model trains on. The loader keeps up if it delivers more.
"""

import argparse
import time

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

import mmstn  # noqa: F401, registers


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--batches', type=int, default=30, help='to take the mean over')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    return parser.parse_args()


def synchronize() -> None:
    """Waits for a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rate(step, batches: int, batch_size: int) -> float:
    """Images a second of ``step``, which deals with one batch, after a few to warm up."""
    for _ in range(3):
        step()
    synchronize()
    start = time.perf_counter()
    for _ in range(batches):
        step()
    synchronize()
    return batches * batch_size / (time.perf_counter() - start)


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.default_scope)
    loader_cfg = cfg.train_dataloader
    size = loader_cfg.batch_size
    here = dict(loader_cfg, num_workers=0, persistent_workers=False)
    dataset = Runner.build_dataloader(here).dataset
    for workers in args.workers:
        there = dict(loader_cfg, dataset=dataset, num_workers=workers)
        there['persistent_workers'] = workers > 0
        batches = iter(Runner.build_dataloader(there, seed=0))
        delivered = rate(lambda: next(batches), args.batches, size)  # noqa: B023
        print(f'loader, {workers} workers: {delivered:8.0f} images/s', flush=True)

    device = get_device()
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.to(device).train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    data = next(batches)
    trained = rate(lambda: model.train_step(data, optimizer), args.batches, size)
    print(f'model on {device}: {trained:8.0f} images/s, {size / trained:.3f} s a step')


if __name__ == '__main__':
    main()
