"""Old names work for one version more."""

import importlib

import mmengine.registry as root
import mmpretrain.registry
import pytest
from mmengine.registry import Registry

from mmstn.old_names import OLD_NAMES

NAMES = [(package, *names) for package in OLD_NAMES for names in OLD_NAMES[package].items()]


@pytest.mark.parametrize('package, old, new', NAMES)
def test_it_is_imported_with_a_warning(package, old, new):
    with pytest.warns(DeprecationWarning, match=f'{old} is called {new} now'):
        scope = {}
        exec(f'from {package} import {old}', scope)
    assert scope[old] is getattr(importlib.import_module(package), new)
    assert not hasattr(importlib.import_module(package), 'NoSuchName')


@pytest.mark.parametrize('package, old, new', NAMES)
def test_it_is_registered_where_the_new_one_is(package, old, new, monkeypatch):
    told = []
    monkeypatch.setattr('mmstn.old_names.print_log', lambda message, *_: told.append(message))
    for name, registry in vars(mmpretrain.registry).items():
        if isinstance(registry, Registry) and new in registry.module_dict:
            with pytest.warns(DeprecationWarning, match=f'{old} is called {new} now'):
                built = getattr(root, name).build(dict(type=f'mmpretrain.{old}'))
            assert type(built) is getattr(importlib.import_module(package), new)
    assert len(told) == (package != 'mmstn.apis')
