"""Runner checkpoints and torch's list of allowed objects, with and without mmengine's own list."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from packaging.version import Version

from mmstn.engine.checkpoint_loading import allow_runner_checkpoints

pytestmark = pytest.mark.skipif(
    Version(torch.__version__).release < (2, 6), reason='this torch loads every object'
)


@pytest.fixture(autouse=True)
def empty_list():
    """Begins with nothing allowed, and leaves torch's list as it was."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


@pytest.fixture
def openmmlab(monkeypatch):
    """An mmengine without a list of its own, as OpenMMLab's is."""
    monkeypatch.delattr(checkpoint, 'get_torch_safe_globals', raising=False)


class GetAttribute:
    """Pickles as a call of `getattr`."""

    def __init__(self, owner, name):
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


def save(content, path):
    torch.save(content, path)
    return path


def test_what_a_runner_saves_is_read_back(openmmlab, tmp_path):
    losses = HistoryBuffer([0.5, 0.25], [1, 3])
    content = {
        'losses': losses,
        'best': np.float32(0.75),
        'exact': np.float64(0.1),
        'steps': np.int64(7),
        'flags': np.array([True, False]),
    }
    path = save(content, tmp_path / 'checkpoint.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)

    allow_runner_checkpoints()

    loaded = torch.load(path, weights_only=True)
    assert loaded['losses'].statistics('mean', 2) == (0.5 + 0.25) / (1 + 3)
    assert loaded['losses'].data[0].tolist() == [0.5, 0.25]
    assert loaded['best'] == np.float32(0.75)
    assert loaded['exact'] == 0.1
    assert loaded['steps'] == 7
    assert loaded['flags'].tolist() == [True, False]


@pytest.mark.parametrize('module', [b'numpy._core.multiarray', b'numpy.core.multiarray'])
def test_arrays_are_read_back_whichever_numpy_wrote_them(openmmlab, tmp_path, module):
    """numpy 2 renamed the module that a file names; the old format of torch can be edited."""
    path = tmp_path / 'checkpoint.pth'
    torch.save({'a': np.arange(3.0)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert b'core.multiarray' in content
    for spelling in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
        content = content.replace(spelling, module)
    path.write_bytes(content)
    allow_runner_checkpoints()
    assert torch.load(path, weights_only=True)['a'].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ('owner', 'name'),
    [(HistoryBuffer, '__init__'), (np.ndarray, 'tofile'), (torch.Tensor, 'numpy')],
)
def test_getattr_gives_nothing_else(openmmlab, tmp_path, owner, name):
    allow_runner_checkpoints()
    torch.serialization.add_safe_globals([torch.Tensor])
    path = save({'a': GetAttribute(owner, name)}, tmp_path / 'checkpoint.pth')
    with pytest.raises(pickle.UnpicklingError, match=f'only methods of HistoryBuffer.*{name}'):
        torch.load(path, weights_only=True)


def test_getattr_stays_with_a_user_who_allowed_it(openmmlab, tmp_path):
    allow_runner_checkpoints()
    torch.serialization.add_safe_globals([getattr])
    path = save({'a': GetAttribute(np.ndarray, 'sum')}, tmp_path / 'checkpoint.pth')
    assert torch.load(path, weights_only=True)['a'] is np.ndarray.sum


def test_an_mmengine_with_its_own_list_is_left_alone(monkeypatch):
    monkeypatch.setattr(checkpoint, 'get_torch_safe_globals', lambda: [], raising=False)
    allow_runner_checkpoints()
    assert torch.serialization.get_safe_globals() == []
