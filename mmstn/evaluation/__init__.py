"""Registered metrics."""

from .corloc import CorLoc
from .digit_coverage import DigitCoverage

__all__ = ['CorLoc', 'DigitCoverage']
