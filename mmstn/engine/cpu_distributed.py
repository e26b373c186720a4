"""Distributed training on CPUs, for laptops and tests."""

import atexit
import gc
import importlib

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed


def init_cpu_distributed(cfg: Config) -> None:
    """Prepares a distributed run on CPUs; does nothing where there is a GPU or one process.

    mmengine binds every process to a GPU, first when it starts the process group and then when it
    wraps the model. Here the group is started before the Runner looks for one (with gloo, which
    needs no GPU), and the wrapper is told that there are no devices.

    Args:
        cfg: The run's config with its ``launcher``. ``model_wrapper_cfg`` is changed.

    Raises:
        ValueError: If the launcher is neither ``'none'`` nor ``'pytorch'`` and there is no GPU.
    """
    if cfg.launcher == 'none' or get_device() != 'cpu':
        return
    if cfg.launcher != 'pytorch':
        raise ValueError(
            f"without a GPU the launcher must be 'pytorch' (torch.distributed.run), "
            f'got {cfg.launcher!r}, with which mmengine trains on GPUs only'
        )
    if not is_distributed():
        # Imported by DDP anyway; after the group it would keep it alive as a default argument.
        importlib.import_module('torch.distributed.nn.functional')

        dist.init_process_group('gloo')
        atexit.register(_end_process_group)
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:  # as Runner.wrap_model does it, but for the devices
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
    else:
        wrapper.setdefault('device_ids', None)


def _end_process_group() -> None:
    """Joins gloo's threads while there is an interpreter.

    A thread that is the last to let go of a tensor calls Python. Where Python has ended the
    thread is ended as well, and with it, in C++, the process: "terminate called without an active
    exception", after all the work is done.
    """
    gc.collect()  # the Runner is a cycle, and its model holds the group
    if dist.is_initialized():
        dist.destroy_process_group()
