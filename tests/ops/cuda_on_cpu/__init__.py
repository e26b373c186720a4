"""The CUDA kernels of the op, compiled for the CPU and run thread by thread: no GPU, same code."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from torch.utils import cpp_extension

from mmstn.ops.build import CSRC

HERE = Path(__file__).resolve().parent

BINDING = """
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("sample", &mmstn::sample_cuda);
  m.def("sample_backward", &mmstn::sample_backward_cuda);
}
"""


@cache
def build(folder: Path) -> ModuleType:
    """Compiles the kernels in ``folder``, which several processes may share."""
    source = (CSRC / 'cuda' / 'sampler_cuda.cu').read_text()
    source, launches = re.subn(
        r'(\w+_kernel<[^;]*?>)\s*<<<([^;]*?)>>>\(', r'cuda_on_cpu::launch(\1, \2)(', source
    )
    assert launches == source.count('__global__'), 'a launch of a kernel was not recognised'
    source = source.replace('"../', f'"{CSRC}/') + BINDING
    file = folder / 'sampler_cuda.cpp'
    if not file.exists():
        part = file.with_suffix(f'.{os.getpid()}')
        part.write_text(source)
        part.replace(file)
    return cpp_extension.load(
        'mmstn_cuda_on_cpu',
        [str(file)],
        extra_cflags=['-O1', '-g0', '-Wno-unknown-pragmas'],
        extra_include_paths=[str(HERE)],
        build_directory=str(folder),
    )


@contextmanager
def installed(module: ModuleType) -> Iterator[None]:
    """Makes them what ``torch.ops.mmstn`` runs on CPU tensors."""
    library = torch.library.Library('mmstn', 'IMPL')
    for name in ('sample', 'sample_backward'):
        library.impl(name, getattr(module, name), 'CPU')
    yield
    del library  # and with it what it has installed
