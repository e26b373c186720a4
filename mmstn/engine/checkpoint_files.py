"""Checkpoint files that survive a kill: written in one step, and found by looking at them."""

import contextlib
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

TEMPORARY = '.unfinished'
NAMES = ('epoch_{}.pth', 'iter_{}.pth')  # mmengine's


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that are whole or not there: mmengine's backend, with a safe order of steps.

    Content goes to a file beside the one that is asked for, is flushed to the disk and takes the
    other's name only then. A kill, a full disk or a power cut leaves the former content.
    """

    def __init__(self) -> None:
        self.to_remove: dict[Path, os.stat_result] = {}
        self._removes_last = False

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + TEMPORARY)
        try:
            with open(unfinished, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text."""
        self.put(obj.encode(encoding), filepath)

    def remove(self, filepath: str | Path) -> None:
        """Removes a file: now, or when :meth:`removing_last` ends."""
        if self._removes_last:
            self.to_remove[Path(filepath)] = os.stat(filepath)
        else:
            super().remove(filepath)

    @contextlib.contextmanager
    def removing_last(self) -> Iterator[None]:
        """Defers all removals in its body to its end; an error in the body cancels them."""
        if self._removes_last:  # the outer one does it
            yield
            return
        self._removes_last = True
        try:
            yield
            for path, stat in self.to_remove.items():
                if os.path.samestat(path.stat(), stat):  # else it was written anew
                    super().remove(path)
        finally:
            self.to_remove, self._removes_last = {}, False


def remove_unfinished(folder: str | Path) -> None:
    """Removes what a killed process began to write in ``folder``."""
    for path in Path(folder).glob(f'*{TEMPORARY}'):
        path.unlink(missing_ok=True)


def newest_checkpoint(
    work_dir: str | Path, out_dir: str | Path | None = None, filename_tmpl: str | None = None
) -> str | None:
    """Looks for the checkpoint to go on from, and logs what it finds.

    The file ``last_checkpoint`` may be missing, empty or cut, or name a file that is. So it is
    believed only where it names a whole checkpoint, and even then a later one with a higher number
    is preferred: the run may have been killed between the two writes.

    Args:
        work_dir: Work folder of the run.
        out_dir: What ``CheckpointHook`` has under this name.
        filename_tmpl: Name of a checkpoint with ``{}`` for its number; None for mmengine's.

    Returns:
        The path, or None where there is no whole checkpoint.
    """
    folder = checkpoint_folder(work_dir, out_dir)
    names = NAMES if filename_tmpl is None else (filename_tmpl,)
    pattern = '|'.join(r'(\d+)'.join(map(re.escape, name.split('{}'))) for name in names)
    found = {}
    for path in folder.glob('*') if folder.is_dir() else ():
        match = re.fullmatch(pattern, path.name)
        if match and path.is_file():
            number = int(next(group for group in match.groups() if group))
            found[path.name] = (path.stat().st_mtime_ns, number, path)
    named = found.get(_last_saved(Path(work_dir)))

    def preference(candidate: tuple[int, int, Path]) -> tuple:
        # Not the highest number alone: a longer run may have used the folder before. Not the
        # newest file alone: a copy of the folder may have changed all times.
        later = named is not None and candidate[0] >= named[0] and candidate[1] > named[1]
        return later, candidate == named, *candidate

    for *_, path in sorted(found.values(), key=preference, reverse=True):
        if is_whole(path):
            print_log(f'{path} is the newest whole checkpoint.', 'current')
            return str(path)
        print_log(f'{path} is cut or damaged: passed over.', 'current', logging.WARNING)
    print_log(f'There is no whole checkpoint in {folder}.', 'current', logging.WARNING)
    return None


def checkpoint_folder(work_dir: str | Path, out_dir: str | Path | None) -> Path:
    """Where mmengine puts the checkpoints of a run."""
    if out_dir is None or str(out_dir) == str(work_dir):
        return Path(work_dir)
    return Path(out_dir) / Path(work_dir).name


def is_whole(path: str | Path) -> bool:
    """Whether a file is a checkpoint of ``torch.save`` to its last byte (its checksums hold)."""
    try:
        with zipfile.ZipFile(path) as archive:
            has_content = any(Path(name).name == 'data.pkl' for name in archive.namelist())
            return has_content and archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError):
        return False


def _last_saved(work_dir: Path) -> str:
    """The name that ``last_checkpoint`` holds, without its folder, which may have been moved."""
    try:
        return Path((work_dir / 'last_checkpoint').read_text(errors='replace').strip()).name
    except OSError:
        return ''


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's list of names, where the system lets one."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
