"""What a wheel of mmstn holds and asks for, and that the layers of the package stay apart."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mmstn
from mmstn.dependencies import ALSO_NEEDED, FAMILIES, OLDEST_TORCH

ROOT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(
    '.git', '.venv', '.*_cache', '__pycache__', '*.so', '*.egg-info', 'build', 'work_dirs', 'data'
)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """A wheel built offline from a copy of the tree with one more C++ and one more CUDA source."""
    pytest.importorskip('setuptools', minversion='77')
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    shutil.copytree(ROOT, source, ignore=NOT_COPIED)
    for name in ('probe.cpp', 'cuda/probe.cuh'):
        probe = source / 'mmstn/ops/csrc' / name
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text('// probe\n')
    subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps', '--no-index']
        + ['-w', str(folder), str(source)],
        check=True,
        capture_output=True,
        env=os.environ | {'MMSTN_BUILD_OP': '0'},
    )
    with zipfile.ZipFile(next(folder.glob('*.whl'))) as archive:
        yield archive


@pytest.fixture(scope='module')
def metadata(wheel):
    name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return message_from_string(wheel.read(name).decode())


def test_wheel_holds_the_package_and_the_sources_of_the_op(wheel):
    names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / 'mmstn').rglob('*.py')}
    assert modules <= names
    assert {'mmstn/ops/csrc/probe.cpp', 'mmstn/ops/csrc/cuda/probe.cuh', 'mmstn/py.typed'} <= names
    assert not any(name.startswith(('tests', 'tools', 'configs')) for name in names)


def test_metadata(metadata):
    assert metadata['Name'] == 'mmstn'
    assert metadata['Version'] == mmstn.__version__
    assert metadata['Requires-Python'] == '>=3.10'
    assert metadata['License-Expression'] == 'Apache-2.0'


def _required(metadata, extra):
    """Requirements that hold with this extra and would not hold without it."""
    requirements = [Requirement(line) for line in metadata.get_all('Requires-Dist')]
    if extra is None:
        return {str(each) for each in requirements if each.marker is None}
    named = [
        each for each in requirements if each.marker and each.marker.evaluate({'extra': extra})
    ]
    return {f'{each.name}{each.specifier}' for each in named}


def test_hard_dependencies_name_no_family(metadata):
    assert _required(metadata, None) == {f'torch>={OLDEST_TORCH}', 'numpy', 'packaging'}


@pytest.mark.parametrize('family', FAMILIES)
def test_extras_and_import_check_agree(metadata, family):
    """What the message tells users to install is the extra of that name."""
    packages = {names[0] for names in FAMILIES[family].values()} | set(ALSO_NEEDED[family])
    normalised = {str(Requirement(package)) for package in packages}
    assert _required(metadata, family) == normalised


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'mmstn' / 'ops').rglob('*.py')), ids=lambda path: path.name
)
def test_ops_know_nothing_of_openmmlab(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module.split('.')[0])
    assert not imported & {'mmengine', 'mmcv', 'mmpretrain'}


def test_an_old_setuptools_is_refused_by_name(tmp_path):
    """A new environment of Python 3.11 has setuptools 65, which pip takes without isolation."""
    (tmp_path / 'setuptools.py').write_text("__version__ = '65.5.0'\n")
    done = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        cwd=ROOT,
        env=os.environ | {'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.count('\n') == 1
    assert '65.5.0' in done.stderr and "pip install 'setuptools>=77'" in done.stderr
    assert "requires = ['setuptools>=77']" in (ROOT / 'pyproject.toml').read_text()
