"""Runs the shell scripts of tools/."""

import os
import socket
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / 'tools'


def run_script(name, *arguments, **environment):
    """Runs a script of tools/ on the CPU, with this Python as ``python``; gives what it prints."""
    environment = os.environ | {
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        'PORT': free_port(),
        'CUDA_VISIBLE_DEVICES': '-1',
        'OMP_NUM_THREADS': '1',
        **environment,
    }
    run = subprocess.run(
        [str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])
