"""The version check: every way in which OpenMMLab's packages can be missing, old or mixed up."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from mmstn import dependencies
from mmstn.dependencies import MODULES, check_dependencies, find_problem

ONEDL = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.6'}
OPENMMLAB = {'mmengine': '0.10.7', 'mmcv-lite': '2.2.0', 'mmpretrain': '1.2.0'}
FULL_MMCV = {'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmpretrain': '1.2.0'}
INSTALL_ONEDL = 'pip install "onedl-mmengine>=0.10.12" "onedl-mmcv>=2.3.6"'
INSTALL_OPENMMLAB = 'pip install "mmengine>=0.10.7,<1" "mmcv-lite>=2.1" "mmpretrain>=1.2"'


@pytest.mark.parametrize('installed', [ONEDL, OPENMMLAB, FULL_MMCV, {}])
def test_one_complete_family_or_source_checkouts_pass(installed):
    assert find_problem(installed, MODULES) is None


def test_nothing_installed_offers_both_families():
    problem = find_problem({}, [])
    assert 'mmengine, mmcv, mmpretrain' in problem
    assert INSTALL_ONEDL in problem
    assert INSTALL_OPENMMLAB in problem
    assert 'one family, never both' in problem


def test_an_incomplete_family_is_completed_and_not_mixed():
    problem = find_problem({'mmengine': '0.10.7'}, ['mmengine'])
    assert 'mmcv, mmpretrain' in problem
    assert INSTALL_OPENMMLAB in problem
    assert 'onedl' not in problem


@pytest.mark.parametrize(
    ('installed', 'package', 'found', 'advice'),
    [
        (ONEDL, 'onedl-mmcv', '2.3.5', INSTALL_ONEDL),
        (ONEDL, 'onedl-mmpretrain', '1.3.6rc1', INSTALL_ONEDL),
        (OPENMMLAB, 'mmengine', '0.10.6', INSTALL_OPENMMLAB),
        (OPENMMLAB, 'mmengine', '1.0.0', INSTALL_OPENMMLAB),
        (FULL_MMCV, 'mmcv', '1.7.2', INSTALL_OPENMMLAB),
    ],
)
def test_unsuitable_versions_are_named(installed, package, found, advice):
    problem = find_problem(installed | {package: found}, MODULES)
    assert f'{package}' in problem
    assert f'(found {found})' in problem
    assert advice in problem


def test_two_families_over_each_other_are_removed_first():
    problem = find_problem(OPENMMLAB | ONEDL, MODULES)
    assert 'two families' in problem
    assert (
        'pip uninstall -y onedl-mmengine onedl-mmcv onedl-mmpretrain mmengine mmcv-lite mmpretrain'
    ) in problem


def test_check_reads_the_versions_that_are_installed(monkeypatch):
    def version(name):
        if name not in OPENMMLAB:
            raise PackageNotFoundError(name)
        return '0.1'

    monkeypatch.setattr(dependencies, 'version', version)
    with pytest.raises(ImportError, match=r'mmengine.*>=0.10.7.*\(found 0.1\)'):
        check_dependencies()


def test_a_folder_left_by_an_uninstall_does_not_count(monkeypatch, tmp_path):
    (tmp_path / 'mmcv' / 'leftover').mkdir(parents=True)
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'mmcv', raising=False)
    with pytest.raises(ImportError, match=r'mmstn needs .*mmcv'):
        check_dependencies()


def test_import_of_mmstn_gives_the_message_and_nothing_else():
    code = "import sys; sys.modules['mmpretrain'] = None; import mmstn"
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode != 0
    assert 'ImportError: mmstn needs mmpretrain, not installed here.' in run.stderr
    assert 'pip install' in run.stderr


@pytest.mark.parametrize('door', ['mmstn', 'mmstn.ops'])
@pytest.mark.parametrize(
    ('torch', 'found'),
    [
        ("sys.modules['torch'] = None", 'not installed here'),
        (
            "import torch; torch.__version__ = '2.0.1+cu118'",
            '2.0.1',
        ),
    ],
)
def test_a_missing_or_old_torch_is_named(torch, found, door):
    code = f'import sys; {torch}; import {door}'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'ImportError: mmstn needs torch>=2.1 (' in run.stderr
    assert found in run.stderr
    assert 'pip install "torch>=2.1"' in run.stderr


ONLY_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'mmengine', 'mmcv', 'mmpretrain', 'packaging', 'torchvision'}:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Refuse())
import torch
import mmstn.ops

image, matrix = torch.rand(2, 3, 4, 5, requires_grad=True), torch.eye(2, 3).repeat(2, 1, 1)
samples = mmstn.ops.affine_grid_sample(image, matrix.requires_grad_(), (4, 5))
samples.sum().backward()
torch.testing.assert_close(samples, image)
mmstn.ops.info()
"""


def test_ops_need_torch_alone():
    subprocess.run([sys.executable, '-c', ONLY_TORCH], check=True)


@pytest.mark.parametrize(
    'ask',
    [
        'import mmstn.models',
        'import mmstn; mmstn.models',
        'from mmstn import evaluation',
        'import mmstn.datasets.transforms',
        'import mmstn.engine.hooks',
        'import mmstn.apis',
        'import mmstn.visualization',
    ],
)
def test_the_rest_says_what_to_install(ask):
    code = ONLY_TORCH.replace(", 'packaging'", '') + ask
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    message = 'ImportError: mmstn needs mmengine, mmcv, mmpretrain, not installed here.'
    assert run.stderr.count(message) == 1, run.stderr
    assert 'pip install' in run.stderr


def test_importing_says_nothing():
    """Not what mmpretrain prints and mmcv warns of, which no user of mmstn can mend."""
    run = subprocess.run([sys.executable, '-c', 'import mmstn'], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, '')
    assert 'MultiScaleDeformableAttention' not in run.stderr
