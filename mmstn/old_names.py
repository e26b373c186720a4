"""Old names: they work for one version more, with a warning that tells the new ones."""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import Registry

OLD_NAMES = {
    'mmstn.apis': {'STInferencer': 'STNInferencer'},
    'mmstn.engine.hooks': {'STVisualizationHook': 'STNVisualizationHook'},
}


def old_names(package: str, registry: Registry | None = None) -> Callable[[str], Any]:
    """Lets the old names of a package work.

    Args:
        package: The package that has the new names.
        registry: Where it registers them, if it does.

    Returns:
        The package's ``__getattr__``.
    """

    def find(old: str) -> Any:
        if old not in OLD_NAMES[package]:
            raise AttributeError(f'module {package!r} has no attribute {old!r}')
        new = OLD_NAMES[package][old]
        message = f'{old} is called {new} now; the old name goes with the next version.'
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        print_log(message, 'current', logging.WARNING)  # users of configs do not see the former
        return getattr(sys.modules[package], new)

    def register(registry: Registry, old: str) -> None:
        registry.register_module(name=old, module=lambda **options: find(old)(**options))

    if registry is not None:
        for old in OLD_NAMES[package]:
            register(registry, old)
    return find
