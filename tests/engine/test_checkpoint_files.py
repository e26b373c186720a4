"""Checkpoint files: whole or not there, and found whatever has become of ``last_checkpoint``."""

import errno
import os
import shutil

import pytest
import torch
from mmengine.runner import Runner

from mmstn.engine.checkpoint_files import AtomicBackend, is_whole, newest_checkpoint
from mmstn.engine.hooks import CheckpointHook
from tests.engine import runs


def save(folder, number, when=None):
    """A checkpoint in ``folder``, written ``when`` (in seconds)."""
    path = folder / f'iter_{number}.pth'
    torch.save(dict(number=number, weights=torch.rand(1000)), path)
    when = number if when is None else when
    os.utime(path, (when, when))
    return str(path)


class TestAtomicBackend:
    def test_content_and_nothing_else(self, tmp_path):
        backend = AtomicBackend()
        backend.put(b'old', tmp_path / 'new/a')
        backend.put(b'content', tmp_path / 'new/a')
        backend.put_text('text', tmp_path / 'new/b')
        assert {path.name: path.read_text() for path in (tmp_path / 'new').iterdir()} == dict(
            a='content', b='text'
        )

    @pytest.mark.parametrize('function', ['fsync', 'replace'])
    def test_the_former_content_stays_when_a_step_fails(self, tmp_path, monkeypatch, function):
        backend = AtomicBackend()
        backend.put(b'old', tmp_path / 'a')

        def fail(*args):
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(os, function, fail)
        with pytest.raises(OSError, match='No space'):
            backend.put(b'new', tmp_path / 'a')
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']

    def test_removing_waits_and_an_error_cancels_it(self, tmp_path):
        backend = AtomicBackend()
        backend.put(b'', tmp_path / 'a')
        with pytest.raises(RuntimeError), backend.removing_last():
            backend.remove(tmp_path / 'a')
            raise RuntimeError
        assert (tmp_path / 'a').exists()
        with backend.removing_last():
            with backend.removing_last():
                backend.remove(tmp_path / 'a')
            assert (tmp_path / 'a').exists()
        assert not (tmp_path / 'a').exists()


class TestNewestCheckpoint:
    @pytest.mark.parametrize('content', [None, '', 'it', 'gone/iter_7.pth', '\0', 'iter_1.pth'])
    def test_whatever_last_checkpoint_says(self, tmp_path, content):
        paths = [save(tmp_path, number) for number in (1, 2, 3)]
        save(tmp_path, 4, when=0)  # left by a longer run before this one
        if content is not None:
            (tmp_path / 'last_checkpoint').write_text(content)
        assert newest_checkpoint(tmp_path) == paths[-1]

    def test_a_copy_of_the_folder_whose_times_say_nothing(self, tmp_path):
        save(tmp_path, 5, when=9)
        named = save(tmp_path, 10, when=8)
        (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_10.pth')
        assert newest_checkpoint(tmp_path) == named

    @pytest.mark.parametrize('length', [0, 1, 500, 0.5, -1])
    def test_cut_files_are_passed_over(self, tmp_path, length):
        whole, cut = save(tmp_path, 1), save(tmp_path, 2)
        (tmp_path / 'last_checkpoint').write_text(cut)
        size = os.path.getsize(cut)
        with open(cut, 'r+b') as file:
            file.truncate(int(length * size) if isinstance(length, float) else length % size)
        assert newest_checkpoint(tmp_path) == whole

    def test_a_changed_byte_anywhere_in_the_weights_is_seen(self, tmp_path):
        path = tmp_path / 'iter_1.pth'
        torch.save(torch.zeros(1000), path)
        content = bytearray(path.read_bytes())
        assert is_whole(path)
        content[content.index(bytes(4000)) + 1234] ^= 1
        path.write_bytes(content)
        assert not is_whole(path)

    def test_other_files_are_no_checkpoints_to_resume_from(self, tmp_path):
        torch.save({}, tmp_path / 'best_accuracy_iter_10.pth')
        torch.save({}, tmp_path / 'resnet50.pth')
        shutil.make_archive(tmp_path / 'iter_3', 'zip', tmp_path)
        (tmp_path / 'iter_3.zip').rename(tmp_path / 'iter_3.pth')
        (tmp_path / 'iter_4.pth').mkdir()
        assert newest_checkpoint(tmp_path) is None
        assert newest_checkpoint(tmp_path / 'missing') is None

    def test_a_folder_and_names_of_ones_own(self, tmp_path):
        folder = tmp_path / 'out/work'
        folder.mkdir(parents=True)
        torch.save({}, folder / 'step(7).pth')
        found = newest_checkpoint(tmp_path / 'work', tmp_path / 'out', 'step({}).pth')
        assert found == str(folder / 'step(7).pth')


def whole_checkpoints(folder):
    return sorted(path.name for path in folder.glob('*.pth') if is_whole(path))


def test_every_config_of_mmpretrain_has_this_hook(tmp_path):
    runner = Runner.from_cfg(runs.config(tmp_path))
    assert any(type(hook) is CheckpointHook for hook in runner.hooks)


def test_after_a_run_the_last_and_the_best_lie_there(tmp_path):
    runs.train(runs.config(tmp_path))
    assert whole_checkpoints(tmp_path) == ['best_accuracy_iter_30.pth', 'iter_30.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_30.pth')


@pytest.mark.parametrize('name', ['iter_15.pth', 'iter_20.pth', 'best_accuracy_iter_20.pth'])
def test_a_full_disk_leaves_the_last_good_checkpoints(tmp_path, monkeypatch, name):
    """The disk is full while ``name`` is written; once there is room the run goes on."""
    put = AtomicBackend.put

    def full(self, content, path):
        if os.path.basename(path) == name:
            with open(f'{path}.unfinished', 'wb') as file:
                file.write(content[:100])
            raise OSError(errno.ENOSPC, 'No space left on device')
        put(self, content, path)

    monkeypatch.setattr(AtomicBackend, 'put', full)
    with pytest.raises(OSError, match=r'no checkpoint could be written to .*No space.*--resume'):
        runs.train(runs.config(tmp_path))
    before = 'iter_10.pth' if name == 'iter_15.pth' else 'iter_15.pth'
    before = 'iter_20.pth' if name.startswith('best') else before
    assert before in whole_checkpoints(tmp_path)
    assert 'best_accuracy_iter_10.pth' in whole_checkpoints(tmp_path)
    monkeypatch.undo()
    runs.train(runs.config(tmp_path, resume=True, experiment_name='goes on'))
    assert whole_checkpoints(tmp_path) == ['best_accuracy_iter_30.pth', 'iter_30.pth']
    assert not list(tmp_path.glob('*.unfinished'))


def test_resume_with_nothing_there_starts_anew(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('')
    runs.train(runs.config(tmp_path, resume=True))
    assert (tmp_path / 'iter_30.pth').exists()
