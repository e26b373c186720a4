"""Heads that mmpretrain has not got."""

from .dropout_head import DropoutLinearClsHead
from .number_head import NumberHead

__all__ = ['DropoutLinearClsHead', 'NumberHead']
