"""The choice of who samples, the missing op, and the command that builds it."""

import asyncio
import importlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import mmstn
from mmstn.ops import (
    affine_grid_sample,
    backend,
    build,
    get_backend,
    info,
    native,
    set_backend,
    use_backend,
)
from tests.ops.sampling_cases import needs_op

MATRIX = torch.eye(2, 3)[None]


def test_choice_is_kept_and_put_back():
    assert get_backend() == 'auto'
    with pytest.raises(KeyError), use_backend('torch'):
        assert get_backend() == 'torch'
        raise KeyError
    assert get_backend() == 'auto'
    set_backend('torch')
    set_backend('auto')


def test_threads_do_not_see_each_others_choice():
    """Two blocks that overlap, and a thread that is started inside one of them."""
    entered, left = threading.Barrier(2), threading.Event()
    seen = {}

    def first():
        with use_backend('torch'):
            entered.wait(10)
            left.wait(10)
            seen['first'] = get_backend()
            with ThreadPoolExecutor(1) as pool:
                seen['inner'] = pool.submit(get_backend).result()

    def second():
        entered.wait(10)
        seen['second'] = get_backend()
        with use_backend('auto'):
            left.set()

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {'first': 'torch', 'second': 'auto', 'inner': 'auto'}
    assert get_backend() == 'auto'


def test_tasks_do_not_see_each_others_choice():
    async def choose(name):
        with use_backend(name):
            await asyncio.sleep(0.01)
            return get_backend()

    async def both():
        return await asyncio.gather(choose('torch'), choose('auto'), choose('torch'))

    assert asyncio.run(both()) == ['torch', 'auto', 'torch']
    assert get_backend() == 'auto'


def test_a_process_wide_choice_holds_in_new_threads_but_not_in_a_block():
    try:
        with use_backend('auto'):
            set_backend('torch')
            assert get_backend() == 'auto'
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(get_backend).result() == get_backend() == 'torch'
    finally:
        set_backend('auto')


@pytest.mark.parametrize('name', ['cuda', 'mmcv', None, 1])
def test_unknown_backend(name):
    with pytest.raises(ValueError, match='one of'):
        set_backend(name)
    assert get_backend() == 'auto'


@needs_op
def test_auto_takes_the_op_and_torch_does_not():
    image = torch.randn(1, 2, 4, 4, requires_grad=True)
    assert 'mmstn' in _door(image).name()
    with use_backend('torch'):
        assert 'mmstn' not in _door(image).name()


def _door(image):
    return affine_grid_sample(image, MATRIX[:, None], (4, 4)).grad_fn


def test_what_samples_is_said_once(caplog):
    backend._announced = False
    with caplog.at_level('INFO', logger='mmstn'):
        for _ in range(2):
            affine_grid_sample(torch.randn(1, 2, 4, 4), MATRIX, (4, 4))
    assert len(caplog.records) == 1
    assert 'samples with' in caplog.text


@needs_op
def test_a_fall_back_says_why_once(caplog, monkeypatch):
    monkeypatch.setattr(backend, '_fallbacks', [])
    volume = torch.randn(1, 2, 3, 4, 4)
    with caplog.at_level('DEBUG', logger='mmstn'):
        for _ in range(2):
            affine_grid_sample(volume, torch.eye(3, 4)[None], (3, 4, 4))
            affine_grid_sample(torch.randn(1, 2, 4, 4), MATRIX, (4, 4))
        torch.func.vmap(lambda u: affine_grid_sample(u, MATRIX, (4, 4)))(volume.movedim(2, 0))
    assert caplog.text.count('volumes') == caplog.text.count('torch.func') == 1
    assert 'volumes' in info()['mmstn fell back'] and 'torch.func' in info()['mmstn fell back']


def test_info():
    lines = info()
    assert lines['PyTorch'] == torch.__version__
    if native.MODULE is None:
        assert native.HOW_TO_BUILD in lines['mmstn compiled op']
    else:
        assert Path(lines['mmstn compiled op']).is_file()
        assert lines['mmstn op CPU path'] in ('avx512', 'avx2', 'portable')


@needs_op
def test_the_op_is_as_parallel_as_pytorch():
    """Without OpenMP in its compiler flags at::parallel_for is a plain loop, and nothing fails."""
    openmp = 'parallel backend: OpenMP' in torch.__config__.parallel_info()
    gcc = 'lang' not in native.MODULE.compiler
    assert native.MODULE.parallel or not (openmp and gcc)


HIDDEN = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == 'mmstn._ext' else find(name, *a)
"""
BROKEN = """
import importlib.machinery, sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmstn._ext':
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        raise ImportError('undefined symbol: _ZN2at')
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize('start', [HIDDEN, BROKEN], ids=['hidden', 'broken'])
def test_without_the_op_everything_works(start, tmp_path):
    """With the extension hidden, or there but not loading, the sampling tests pass all the same."""
    (tmp_path / 'sitecustomize.py').write_text(start)
    root = Path(mmstn.__file__).parents[1]
    environment = {**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{root}'}
    check = (
        'import mmstn.ops as ops\n'
        'assert ops.native.MODULE is None\n'
        'try: ops.set_backend("native")\n'
        'except RuntimeError as error: assert "mmstn.ops.build" in str(error), error\n'
        'else: raise AssertionError\n'
        'import pytest, sys\n'
        'sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider",'
        ' "tests/ops/test_sampling.py", "tests/ops/test_torch_integration.py",'
        ' "-k", "not compiles and not onnx"]))'
    )
    result = subprocess.run(
        [sys.executable, '-c', check], env=environment, cwd=root, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def test_build_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr(sys, 'argv', ['build'])
    assert build.main() == 1
    assert "no C++ compiler 'no-such-compiler'" in capsys.readouterr().err
    assert build.setup_arguments() == {}
    assert 'without its compiled op' in capsys.readouterr().err


def test_build_needs_mmcvs_headers(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(build.CannotBuild, match="mmcv's C"):
        build._mmcv_headers()


def test_failed_build_leaves_the_old_op(monkeypatch, capsys, tmp_path):
    arguments = build.build_arguments(cuda=False)
    source = tmp_path / 'broken.cpp'
    source.write_text('#error "does not compile"\n')
    arguments['ext_modules'][0].sources[:] = [str(source)]
    monkeypatch.setattr(build, 'build_arguments', lambda cuda: arguments)
    monkeypatch.setattr(build, '_cache', lambda: tmp_path)
    monkeypatch.setattr(sys, 'argv', ['build'])
    files = {path: path.stat().st_mtime_ns for path in build.PACKAGE.glob('_ext*')}
    assert build.main() == 1
    assert 'was not built' in capsys.readouterr().err
    assert files == {path: path.stat().st_mtime_ns for path in build.PACKAGE.glob('_ext*')}
