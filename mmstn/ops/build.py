"""Compiles the op for the torch that is installed: ``python -m mmstn.ops.build``.

It serves those who installed mmstn plainly, where pip shows no torch to the build, and those who
changed their torch since. The first build takes a minute or two; later ones compile what changed.

This file must not import mmstn: ``setup.py`` runs it before mmstn is installed.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
CSRC = PACKAGE / 'ops' / 'csrc'
NAME = 'mmstn._ext'
# Without a GPU to look at; PTX serves what comes later.
DEFAULT_CUDA_ARCHITECTURES = '8.0;9.0+PTX'


class CannotBuild(RuntimeError):
    """Something that the build needs is missing; the message says what and how to get it."""


def setup_arguments() -> dict[str, Any]:
    """Arguments of ``setup`` that build the op, or none where it cannot be built.

    With ``MMSTN_BUILD_OP=0`` in the environment it is left out: for wheels that run anywhere.
    """
    if os.environ.get('MMSTN_BUILD_OP') == '0':
        return {}
    try:
        return build_arguments()
    except CannotBuild as reason:
        print(f'mmstn is installed without its compiled op: {reason}', file=sys.stderr)
        return {}


def build_arguments(cuda: bool | None = None) -> dict[str, Any]:
    """``ext_modules`` and ``cmdclass`` of setuptools for the op.

    Args:
        cuda: Whether to compile for GPUs too. By default if a GPU is there, or with the
            environment variable ``FORCE_CUDA=1``.

    Raises:
        CannotBuild: If torch, a compiler, mmcv's headers or (if asked for) CUDA are missing.
    """
    try:
        import torch
        from torch.utils import cpp_extension
    except ImportError as error:
        raise CannotBuild(
            f'torch cannot be imported here ({error}); use pip install --no-build-isolation'
        ) from error
    compiler = os.environ.get('CXX', 'c++')
    if not shutil.which(compiler.split()[0]):
        raise CannotBuild(f'there is no C++ compiler {compiler!r}; install g++ or set CXX')
    # ninja lies beside Python also where its virtual environment is not activated.
    os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])

    sources = [CSRC / 'sampler.cpp', *sorted((CSRC / 'cpu').glob('*.cpp'))]
    flags = [] if '-O' in os.environ.get('CFLAGS', '') else ['-O3', '-g0']
    flags += ['-fno-gnu-unique', '-ffp-contract=fast', '-Wno-psabi']
    version = subprocess.run([compiler.split()[0], '--version'], capture_output=True, text=True)
    if 'clang' in version.stdout:
        flags.remove('-fno-gnu-unique')  # a flag of GCC's, against a habit of GCC's
    elif 'parallel backend: OpenMP' in torch.__config__.parallel_info():
        # at::parallel_for is a plain loop without it. Not linked: the runtime must be torch's own,
        # which is GCC's; Clang would call another one.
        flags.append('-fopenmp')
    arguments: dict[str, Any] = {'cxx': flags}
    kind, macros, include_dirs = cpp_extension.CppExtension, [], list(map(str, _mmcv_headers()))
    if _wants_cuda(torch, cuda):
        home = _cuda_home(cpp_extension, torch.version.cuda)
        os.environ['CUDA_HOME'] = cpp_extension.CUDA_HOME = str(home)
        if not torch.cuda.is_available():
            os.environ.setdefault('TORCH_CUDA_ARCH_LIST', DEFAULT_CUDA_ARCHITECTURES)
        kind = cpp_extension.CUDAExtension
        macros = [('MMSTN_WITH_CUDA', str(_nvcc_version(home)[0]))]
        sources += sorted((CSRC / 'cuda').glob('*.cu'))
        # A small toolkit lacks headers that come with torch's own packages.
        extra = [f'-idirafter{path}' for path in _packaged_cuda_headers()]
        arguments['cxx'] = flags + extra
        arguments['nvcc'] = ['-O3', '--expt-relaxed-constexpr', '-Xcompiler', '-fno-gnu-unique']
        arguments['nvcc'] += [word for flag in extra for word in ('-Xcompiler', flag)]
    extension = kind(
        name=NAME,
        # Relative to where the build runs: setuptools refuses absolute paths.
        sources=[os.path.relpath(source) for source in sources],
        include_dirs=include_dirs,
        define_macros=macros,
        extra_compile_args=arguments,
    )
    use_ninja = cpp_extension.is_ninja_available()
    builder = cpp_extension.BuildExtension.with_options(use_ninja=use_ninja)
    return {'ext_modules': [extension], 'cmdclass': {'build_ext': builder}}


def _mmcv_headers() -> list[Path]:
    """The folders of C++ and CUDA headers that every mmcv ships, with and without compiled ops."""
    spec = importlib.util.find_spec('mmcv')
    for location in (spec.submodule_search_locations or ()) if spec else ():
        headers = Path(location) / 'ops' / 'csrc' / 'common'
        if (headers / 'pytorch_device_registry.hpp').is_file():
            return [headers, headers / 'cuda']
    raise CannotBuild(
        "mmcv's C++ headers are not there; install mmcv first (onedl-mmcv or mmcv-lite)"
    )


def _wants_cuda(torch: Any, cuda: bool | None) -> bool:
    if cuda is None:
        cuda = torch.cuda.is_available() or os.environ.get('FORCE_CUDA') == '1'
        return cuda and torch.version.cuda is not None
    if cuda and torch.version.cuda is None:
        raise CannotBuild(f'torch {torch.__version__} was built without CUDA')
    return cuda


def _cuda_home(cpp_extension: Any, wanted: str) -> Path:
    """A CUDA toolkit of torch's major version."""
    found = []
    for place in (os.environ.get('CUDA_HOME'), cpp_extension.CUDA_HOME, '/usr/local/cuda'):
        # An nvcc on the PATH may be a mere wrapper: then there are no headers beside it.
        if place and (Path(place) / 'include' / 'cuda_runtime.h').is_file():
            version = _nvcc_version(Path(place))
            if version and version[0] == int(wanted.split('.')[0]):
                return Path(place)
            found.append(f'{place} ({".".join(map(str, version)) or "no nvcc"})')
    raise CannotBuild(
        f'no CUDA toolkit {wanted.split(".")[0]}.x as torch has it; found {found or "none"}. '
        'Set CUDA_HOME, or build for the CPU only'
    )


def _nvcc_version(home: Path) -> tuple[int, ...]:
    nvcc = home / 'bin' / 'nvcc'
    if not nvcc.is_file():
        return ()
    text = subprocess.run([nvcc, '--version'], capture_output=True, text=True).stdout
    release = text.partition('release ')[2].partition(',')[0]
    return tuple(int(part) for part in release.split('.')) if release else ()


def _packaged_cuda_headers() -> list[Path]:
    """Header folders of the CUDA packages that pip installs with torch."""
    spec = importlib.util.find_spec('nvidia')
    places = spec.submodule_search_locations or () if spec else ()
    return [path for place in places for path in sorted(Path(place).glob('*/include'))]


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
    """Where object files are kept for the next build: a folder for each torch, Python and mmstn."""
    import torch

    cache = Path(os.environ.get('XDG_CACHE_HOME', '~/.cache')).expanduser() / 'mmstn'
    version = f'torch{torch.__version__}-python{sys.version_info.major}.{sys.version_info.minor}'
    checkout = hashlib.sha256(str(PACKAGE).encode()).hexdigest()[:8]
    folder = cache / f'{version}-{checkout}'.replace('+', '-')
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
