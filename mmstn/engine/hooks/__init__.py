"""Hooks for mmengine's Runner."""

from mmpretrain.registry import HOOKS

from mmstn.old_names import old_names

from .checkpoint_hook import CheckpointHook
from .loss_differences_hook import LossDifferencesHook
from .non_finite_hook import NonFiniteHook
from .scale_annealing_hook import ScaleAnnealingHook
from .stn_visualization_hook import STNVisualizationHook
from .windows_hook import WindowsHook

__getattr__ = old_names(__name__, HOOKS)
__all__ = [
    'CheckpointHook',
    'LossDifferencesHook',
    'NonFiniteHook',
    'STNVisualizationHook',
    'ScaleAnnealingHook',
    'WindowsHook',
]
