"""Inference in three lines."""

from mmstn import openmmlab  # noqa: F401

from .number_inferencer import NumberInferencer
from .st_inferencer import STInferencer

__all__ = ['NumberInferencer', 'STInferencer']
