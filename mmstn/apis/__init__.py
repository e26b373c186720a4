"""Inference in three lines."""

from .st_inferencer import STInferencer

__all__ = ['STInferencer']
