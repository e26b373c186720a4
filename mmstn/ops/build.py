"""Compiles the op for the torch that is installed: ``python -m mmstn.ops.build``.

It serves those who installed mmstn plainly, where pip shows no torch to the build, and those who
changed their torch since. The first build takes a minute or two; later ones compile what changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from mmstn.ops._extension import NAME, CannotBuild, build_arguments

PACKAGE = Path(__file__).resolve().parents[1]


def build(cuda: bool | None = None, verbose: bool = False) -> Path:
    """Compiles the op and puts it into the installed package.

    Args:
        cuda: Whether to compile for GPUs too; by default if there is one.
        verbose: Show the compiler's command lines.

    Returns:
        The file of the op. It is replaced in one step, so that a failed build leaves the old one.

    Raises:
        CannotBuild: If something is missing or does not compile; the message says what.
    """
    from setuptools import Distribution

    if not os.access(PACKAGE, os.W_OK):
        raise CannotBuild(f'{PACKAGE} cannot be written; install mmstn where you may write')
    arguments = build_arguments(cuda)
    distribution = Distribution({'name': 'mmstn', **arguments})
    distribution.verbose = verbose
    command = distribution.get_command_obj('build_ext')
    count = len(arguments['ext_modules'][0].sources)
    print(f'Compiling {count} files; this takes a minute or two ...', flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='mmstn-build-') as folder:
        command.build_lib = folder
        command.build_temp = str(_cache())
        command.ensure_finalized()
        try:
            command.run()
        except (Exception, SystemExit) as error:
            raise CannotBuild(f'compiling failed, see above: {error}') from error
        built = Path(command.get_ext_fullpath(NAME))
        target = PACKAGE / built.name
        shutil.copy2(built, f'{target}.new')
        os.replace(f'{target}.new', target)
    print(f'Built {target} in {time.monotonic() - start:.0f} s.')
    return target


def _cache() -> Path:
    """Where object files are kept for the next build: one folder for each torch and Python."""
    import torch

    cache = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'mmstn'
    version = f'torch{torch.__version__}-python{sys.version_info.major}.{sys.version_info.minor}'
    folder = cache / version.replace('+', '-')
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog='python -m mmstn.ops.build', description=__doc__)
    parser.add_argument(
        '--cuda',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='compile for GPUs too (default: if there is one, or with FORCE_CUDA=1)',
    )
    parser.add_argument('--verbose', action='store_true', help="show the compiler's command lines")
    options = parser.parse_args()
    try:
        build(options.cuda, options.verbose)
    except CannotBuild as error:
        print(f'mmstn: the op was not built: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
