"""Necks."""

from .stn_neck import STNNeck

__all__ = ['STNNeck']
