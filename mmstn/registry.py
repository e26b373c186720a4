"""Building parts from configs, in projects of any default scope."""

from typing import Any

from mmengine.registry import Registry


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
        with registry.switch_scope_and_registry(None) as default:
            part = default.get(name) or registry.get(name)
        if part is not None:
            cfg = dict(cfg, type=part)
    return registry.build(cfg)
