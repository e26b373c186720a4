"""The most memory that a call holds at once."""

import ctypes
import os
from collections.abc import Callable

import torch
from torch import Tensor

# glibc's M_MMAP_THRESHOLD: what is larger gets pages of its own and gives them back when freed.
MMAP_THRESHOLD, LARGE = -3, 1 << 16


def _status(field: str) -> int:
    """Bytes that /proc says: VmRSS (resident now) or VmHWM (the most that was)."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def peak_memory(function: Callable[[], tuple[Tensor, ...]], device: str) -> int:
    """Bytes that a call holds at its peak, without the tensors that it returns.

    On a CPU these are resident pages of the whole process, whoever allocates them: the high-water
    mark is set back before the call (Linux only). The allocator keeps large blocks apart from then
    on, which makes later calls slower: measure times first. On a GPU it is what torch counts.
    """
    results = function()  # thread pools and constants are there from now on
    returned = sum(result.nbytes for result in results)
    del results
    if device == 'cuda':
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        function()
        return torch.cuda.max_memory_allocated() - before - returned
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_THRESHOLD, LARGE)
    libc.malloc_trim(0)
    function()
    libc.malloc_trim(0)
    with open(f'/proc/{os.getpid()}/clear_refs', 'w') as file:
        file.write('5')  # sets back VmHWM
    before = _status('VmRSS')
    function()
    return _status('VmHWM') - before - returned
