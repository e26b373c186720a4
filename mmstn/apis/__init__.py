"""Inference in three lines."""

from .number_inferencer import NumberInferencer
from .st_inferencer import STInferencer

__all__ = ['NumberInferencer', 'STInferencer']
