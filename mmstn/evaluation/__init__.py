"""Metrics."""

from .number_string import number_string
from .part_localization import PartLocalization
from .sequence_accuracy import SequenceAccuracy

__all__ = ['PartLocalization', 'SequenceAccuracy', 'number_string']
