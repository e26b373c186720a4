"""Checks that torch and one family of OpenMMLab packages are there, complete and recent enough.

OpenMMLab's own packages and their maintained continuation by OneDL have the same import names.
Installed one over the other they overwrite each other's files without a word, and uninstalling one
then deletes the other. So mmstn names neither as a hard dependency, and looks here what is there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Family -> import name -> the packages that may provide it. The first one is the one to install;
# the extras of the same names in pyproject.toml repeat these bounds, and a test compares the two.
FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    'onedl': {
        'mmengine': ('onedl-mmengine>=0.10.12',),
        'mmcv': ('onedl-mmcv>=2.3.6',),
        'mmpretrain': ('onedl-mmpretrain>=1.3.6',),
    },
    'openmmlab': {
        'mmengine': ('mmengine>=0.10.7,<1',),
        'mmcv': ('mmcv-lite>=2.1', 'mmcv>=2.1'),
        'mmpretrain': ('mmpretrain>=1.2',),
    },
}
MODULES = tuple(FAMILIES['onedl'])
OLDEST_TORCH = '2.1'  # pyproject.toml repeats it, too
ALSO_NEEDED = {'onedl': ('torchvision',), 'openmmlab': ('torchvision', 'setuptools<82')}


def check_torch() -> None:
    """Raises one clear error unless there is a torch that mmstn works with.

    Raises:
        ImportError: If torch is missing or too old. The message says what to install.
    """
    found = 'not installed here'
    if is_importable('torch'):
        import torch

        if _release(torch.__version__) >= _release(OLDEST_TORCH):
            return
        found = f'found {torch.__version__}'
    raise ImportError(
        f'mmstn needs torch>={OLDEST_TORCH} ({found}).\n'
        f'Install:\n    pip install "torch>={OLDEST_TORCH}" torchvision'
    )


def check_dependencies() -> None:
    """Raises one clear error unless mmengine, mmcv and mmpretrain can be used together.

    Raises:
        ImportError: If a module is missing, a package is too old or too new, or packages of both
            families are installed. The message says what to install.
    """
    problem = find_problem(_installed_versions(), _importable_modules())
    if problem:
        raise ImportError(problem)


def find_problem(installed: Mapping[str, str], importable: Collection[str]) -> str | None:
    """Says what is wrong with the packages at hand.

    Args:
        installed: Version of every installed package that ``FAMILIES`` names.
        importable: Those of ``MODULES`` that can be imported.

    Returns:
        What is wrong and how to mend it, or None. A module that is importable but belongs to no
        installed package is a source checkout, whose owner knows what it is: it passes.
    """
    present = {family: _of_family(family, installed) for family in FAMILIES}
    families = [family for family, packages in present.items() if packages]
    if len(families) > 1:
        listing = '\n'.join(f'    {family}: {_listed(present[family])}' for family in families)
        everything = ' '.join(name for family in families for name in present[family])
        return (
            'Packages of two families are installed over each other; both write mmengine, mmcv and '
            f'mmpretrain, so neither is intact:\n{listing}\nRemove them all:\n'
            f'    pip uninstall -y {everything}\n' + _how_to_install(FAMILIES)
        )
    missing = [module for module in MODULES if module not in importable]
    if missing:
        return f'mmstn needs {", ".join(missing)}, not installed here.\n' + _how_to_install(
            families or FAMILIES
        )
    for family in families:
        wrong = [
            f'{requirement} (found {installed[requirement.name]})'
            for requirement in _requirements(family)
            if requirement.name in installed
            and not requirement.specifier.contains(installed[requirement.name], prereleases=True)
        ]
        if wrong:
            return f'mmstn needs {", ".join(wrong)}.\n' + _how_to_install([family])
    return None


def _release(version: str) -> list[int]:
    """Its first two numbers, read without packaging: mmstn.ops does without."""
    return [int(number) for number in version.split('.')[:2]]


def _requirements(family: str) -> list[Requirement]:
    from packaging.requirements import Requirement  # mmstn.ops does without

    return [Requirement(line) for lines in FAMILIES[family].values() for line in lines]


def _of_family(family: str, installed: Mapping[str, str]) -> dict[str, str]:
    names = [requirement.name for requirement in _requirements(family)]
    return {name: installed[name] for name in names if name in installed}


def _listed(packages: Mapping[str, str]) -> str:
    return ', '.join(f'{name} {number}' for name, number in packages.items())


def _how_to_install(families: Collection[str]) -> str:
    lines = ['Install one family, never both:' if len(families) > 1 else 'Install:']
    for family in families:
        packages = [names[0] for names in FAMILIES[family].values()] + list(ALSO_NEEDED[family])
        quoted = ' '.join(f'"{package}"' for package in packages)
        lines.append(f"    pip install {quoted}    # mmstn's extra [{family}]")
    return '\n'.join(lines)


def _installed_versions() -> dict[str, str]:
    installed = {}
    for family in FAMILIES:
        for requirement in _requirements(family):
            try:
                installed[requirement.name] = version(requirement.name)
            except PackageNotFoundError:
                continue
    return installed


def _importable_modules() -> list[str]:
    return [module for module in MODULES if is_importable(module)]


def is_importable(module: str) -> bool:
    """Whether a top-level module is installed, and not as half an uninstall leaves it."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:  # refused by an import hook
        return False
    # A folder without __init__.py has a spec, but no origin.
    return spec is not None and spec.origin is not None
