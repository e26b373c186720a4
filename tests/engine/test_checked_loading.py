"""Checkpoints that hold code are refused, those of a Runner are not."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmstn.apis import STNInferencer
from mmstn.engine.checkpoint_loading import load_checked, refuse_code
from tests.engine import runs


class Code:
    """Pickles as a call, which leaves a file behind when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def trace(tmp_path):
    """What is there once code has run."""
    return tmp_path / 'trace'


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('protocol', [2, 4])
def test_code_is_named_and_not_run(tmp_path, trace, zipped, protocol):
    path = tmp_path / 'code.pth'
    content = dict(state_dict=OrderedDict(a=torch.ones(3)), message_hub=Code(open, trace, 'w'))
    torch.save(content, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match='code.pth holds more than weights: .*open'):
        load_checked(str(path))
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have run


@pytest.mark.parametrize(
    'call',
    [
        (getattr, np.ndarray, 'tofile'),
        (getattr, torch.Tensor, 'numpy'),
        (eval, '1'),
        (torch.load, 'a.pth'),
        (torch.hub.load, 'a', 'b'),
        (np.load, 'a.npy'),
    ],
)
def test_other_calls(tmp_path, call):
    torch.save(dict(a=Code(*call)), tmp_path / 'code.pth')
    with pytest.raises(pickle.UnpicklingError, match='more than weights'):
        load_checked(str(tmp_path / 'code.pth'))


def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / 'script.pth'))
    with pytest.raises(pickle.UnpicklingError, match='TorchScript'):
        load_checked(str(tmp_path / 'script.pth'))


def test_what_a_runner_saves_is_read(tmp_path):
    """Weights, optimizer, schedules, and the histories of the log."""
    runs.train(runs.config(tmp_path))
    for name in ('iter_30.pth', 'best_accuracy_iter_30.pth'):
        expected = torch.load(tmp_path / name, weights_only=False)
        found = load_checked(str(tmp_path / name), map_location='cpu')
        assert found.keys() == expected.keys()
        for key, value in expected['state_dict'].items():
            assert found['state_dict'][key].equal(value)
        history = found['message_hub']['log_scalars']['train/loss']
        assert history.mean() == expected['message_hub']['log_scalars']['train/loss'].mean()


@pytest.mark.parametrize('zipped', [True, False])
def test_weights_of_every_kind(tmp_path, zipped):
    content = dict(
        half=torch.ones(2, dtype=torch.bfloat16),
        parameter=torch.nn.Parameter(torch.ones(2)),
        transposed=torch.rand(2, 3).t(),
        array=np.arange(3.0),
        number=np.float32(0.5),
        names=np.array(['a', 'b']),
        flags=np.array([True]),
        rest=[1, 'a', None, (2.5, {3}), OrderedDict(a=1), slice(3), torch.float16, torch.Size([2])],
    )
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=zipped)
    found = load_checked(str(tmp_path / 'a.pth'))
    assert found['rest'] == content['rest']
    for key in ('half', 'parameter', 'transposed'):
        assert found[key].equal(content[key])
    for key in ('array', 'number', 'names', 'flags'):
        np.testing.assert_array_equal(found[key], content[key])


def test_python_in_the_meta_information_does_not_get_through(tmp_path):
    torch.save(dict(meta=dict(config='import os', iter=3)), tmp_path / 'a.pth')
    assert load_checked(str(tmp_path / 'a.pth'))['meta'] == dict(iter=3)


def test_mmengine_uses_it_once_told(tmp_path, trace, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    torch.save(dict(a=Code(open, trace, 'w')), tmp_path / 'code.pth')
    refuse_code()
    with pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'code.pth'))
    assert not trace.exists()


def test_checkpoints_from_the_web_are_looked_at_too(tmp_path, trace, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    contents = dict(weights=dict(a=torch.ones(3)), code=dict(b=Code(open, trace, 'w')))
    asked = []

    def download(url, path, **_):
        asked.append(url)
        torch.save(contents[url.split('/')[-1].removesuffix('.pth')], path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    refuse_code()
    for _ in range(2):
        loaded = CheckpointLoader.load_checkpoint('https://a.org/weights.pth', map_location='cpu')
        assert loaded['a'].tolist() == [1, 1, 1]
    with pytest.raises(pickle.UnpicklingError, match='code.pth holds more than weights'):
        CheckpointLoader.load_checkpoint('http://a.org/code.pth')
    with pytest.raises(pickle.UnpicklingError, match='code.pth holds more than weights'):
        STNInferencer(str(tmp_path / 'config.py'), 'https://a.org/code.pth')
    assert not trace.exists()
    assert asked == ['https://a.org/weights.pth', 'http://a.org/code.pth']
