"""Hooks for mmengine's Runner."""

from .checkpoint_hook import CheckpointHook
from .loss_differences_hook import LossDifferencesHook
from .non_finite_hook import NonFiniteHook
from .scale_annealing_hook import ScaleAnnealingHook
from .st_visualization_hook import STVisualizationHook
from .windows_hook import WindowsHook

__all__ = [
    'CheckpointHook',
    'LossDifferencesHook',
    'NonFiniteHook',
    'STVisualizationHook',
    'ScaleAnnealingHook',
    'WindowsHook',
]
