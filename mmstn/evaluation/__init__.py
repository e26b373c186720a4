"""Metrics."""

from mmstn import openmmlab

from .corloc import CorLoc
from .digit_coverage import DigitCoverage
from .part_localization import PartLocalization
from .sequence_accuracy import SequenceAccuracy

__all__ = ['CorLoc', 'DigitCoverage', 'PartLocalization', 'SequenceAccuracy']
