"""Heads that mmpretrain has not got."""

from .dropout_head import DropoutLinearClsHead

__all__ = ['DropoutLinearClsHead']
