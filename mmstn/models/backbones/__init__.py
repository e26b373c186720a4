"""Backbones."""

from .mnist import MNISTCNN, MNISTFC
from .stn_backbone import STNBackbone

__all__ = ['MNISTCNN', 'MNISTFC', 'STNBackbone']
