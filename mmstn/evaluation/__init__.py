"""Metrics."""

from .number_string import number_string
from .sequence_accuracy import SequenceAccuracy

__all__ = ['SequenceAccuracy', 'number_string']
