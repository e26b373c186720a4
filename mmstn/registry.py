"""Builds parts from configs, in projects with any default scope."""

from typing import Any

from mmengine.registry import Registry

from .checks import instance_of


def find_type(registry: Registry, name: str) -> type | None:
    """A registered type by its name: the default scope's, else mmpretrain's, else None."""
    with registry.switch_scope_and_registry(None) as default:
        return default.get(name) or registry.get(name)


def build_part(registry: Registry, cfg: dict) -> Any:
    """Builds a part of an mmstn module from its config.

    A type without a scope is looked up where the project's own types are, in its default scope, and
    then in mmpretrain's. ``Registry.build`` alone knows the default scope only, in which mmstn's
    parts are missing if it is mmseg's, mmdet's or that of the project.

    Args:
        registry: One of mmpretrain's, such as ``MODELS``.
        cfg: With a ``type``, also ``'scope.Name'`` or a class.

    Returns:
        What was built.

    Raises:
        KeyError: If there is no such type.
    """
    name = cfg.get('type') if isinstance(cfg, dict) else None
    if isinstance(name, str) and '_scope_' not in cfg:
        part = find_type(registry, name)
        if part is not None:
            cfg = dict(cfg, type=part)
    return registry.build(cfg)


def build_argument(
    name: str, value: Any, registry: Registry, types: type | tuple[type, ...], what: str
) -> Any:
    """Builds an argument that may be a config or what the config describes.

    Args:
        name: The argument's name.
        value: A config, or an instance of ``types``.
        registry: One of mmpretrain's.
        types: What it must be.
        what: These in words, such as 'a dataset'.

    Raises:
        TypeError: If it is neither, or the described class refuses the type of an argument.
        ValueError: If it cannot be built for another reason.
    """
    if isinstance(value, dict):
        try:
            value = build_part(registry, value)
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            reason = error.args[0] if isinstance(error, KeyError) else error
            raise kind(f'{name} cannot be built: {reason}') from error
    return instance_of(name, value, types, f'a config (dict) or {what}')
