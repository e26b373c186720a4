import os
from contextlib import contextmanager

import pytest
import torch

from mmstn.ops import _ext
from tests.ops import cuda_on_cpu

CPU_PATHS = ['avx512', 'avx2', 'portable']


@contextmanager
def on_path(path):
    if _ext.MODULE is None:
        pytest.skip(_ext.WHY_MISSING)
    try:
        _ext.MODULE.set_cpu_path(path)
    except ValueError as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        _ext.MODULE.set_cpu_path('auto')


@pytest.fixture(params=CPU_PATHS)
def cpu_path(request):
    """Each set of kernels that this CPU can run, one after the other."""
    with on_path(request.param):
        yield


@pytest.fixture(scope='session')
def cuda_on_cpu_module(tmp_path_factory):
    if _ext.MODULE is None:
        pytest.skip(_ext.WHY_MISSING)
    shared = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:  # compiled once for all workers
        shared = shared.parent
    return cuda_on_cpu.build(shared)


@pytest.fixture(params=[*CPU_PATHS, 'cuda on a cpu', 'cuda'])
def kernels(request):
    """Each set of kernels; with 'cuda' the test's new tensors are on the GPU."""
    if request.param == 'cuda on a cpu':
        with cuda_on_cpu.installed(request.getfixturevalue('cuda_on_cpu_module')):
            yield
    elif request.param == 'cuda':
        if not (_ext.HAS_CUDA and torch.cuda.is_available()):
            pytest.skip('no GPU, or an op that was built without CUDA')
        with torch.device('cuda'):
            yield
    else:
        with on_path(request.param):
            yield
