"""Heads."""

from .number_head import NumberHead

__all__ = ['NumberHead']
