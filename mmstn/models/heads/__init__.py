"""Heads that mmpretrain does not have."""

from .dropout_head import DropoutLinearClsHead
from .number_head import NumberHead

__all__ = ['DropoutLinearClsHead', 'NumberHead']
