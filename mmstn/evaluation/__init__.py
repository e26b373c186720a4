"""Metrics."""

from .part_localization import PartLocalization

__all__ = ['PartLocalization']
