import os
from contextlib import contextmanager

import pytest
import torch

from mmstn.ops import native
from tests.ops import cuda_on_cpu

CPU_PATHS = ['avx512', 'avx2', 'portable']


@contextmanager
def on_path(path):
    if native.MODULE is None:
        pytest.skip(native.WHY_MISSING)
    try:
        native.MODULE.set_cpu_path(path)
    except ValueError as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        native.MODULE.set_cpu_path('auto')


@pytest.fixture(params=CPU_PATHS)
def cpu_path(request):
    """Each set of kernels that this CPU can run, one after the other."""
    with on_path(request.param):
        yield


@pytest.fixture(scope='session')
def cuda_on_cpu_module(tmp_path_factory):
    if native.MODULE is None:
        pytest.skip(native.WHY_MISSING)
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
        if not (native.HAS_CUDA and torch.cuda.is_available()):
            pytest.skip('no GPU, or an op that was built without CUDA')
        with torch.device('cuda'):
            yield
    else:
        with on_path(request.param):
            yield
