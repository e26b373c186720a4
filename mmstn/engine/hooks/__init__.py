"""Hooks for mmengine's Runner."""

from .st_visualization_hook import STVisualizationHook
from .windows_hook import WindowsHook

__all__ = ['STVisualizationHook', 'WindowsHook']
