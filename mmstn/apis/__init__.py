"""Inference in three lines."""

from mmstn import openmmlab
from mmstn.old_names import old_names

from .number_inferencer import NumberInferencer
from .stn_inferencer import STNInferencer

__getattr__ = old_names(__name__)
__all__ = ['NumberInferencer', 'STNInferencer']
