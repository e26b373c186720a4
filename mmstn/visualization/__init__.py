"""Pictures of what spatial transformers do; pure drawing, shared by hook, inferencer and tools."""

from mmstn import openmmlab

from .animation import save_animation
from .cam import lay_back
from .images import ImageStyle, map_to_image
from .number_visualizer import NumberVisualizer
from .recording import TransformerRecord, record_transformers
from .sheet import SheetSample, draw_input, draw_sheet
from .windows import COLORS, draw_windows, window_outlines

__all__ = [
    'COLORS',
    'ImageStyle',
    'NumberVisualizer',
    'SheetSample',
    'TransformerRecord',
    'draw_input',
    'draw_sheet',
    'draw_windows',
    'lay_back',
    'map_to_image',
    'record_transformers',
    'save_animation',
    'window_outlines',
]
