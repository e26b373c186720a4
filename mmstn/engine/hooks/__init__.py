"""Hooks for mmengine's Runner."""

from .st_visualization_hook import STVisualizationHook

__all__ = ['STVisualizationHook']
