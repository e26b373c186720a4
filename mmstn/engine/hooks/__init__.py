"""Hooks for mmengine's Runner."""

from .checkpoint_hook import CheckpointHook
from .scale_annealing_hook import ScaleAnnealingHook
from .st_visualization_hook import STVisualizationHook
from .windows_hook import WindowsHook

__all__ = ['CheckpointHook', 'STVisualizationHook', 'ScaleAnnealingHook', 'WindowsHook']
