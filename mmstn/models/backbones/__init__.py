"""Backbones."""

from .mnist import MNISTCNN, MNISTFC
from .stn_backbone import STNBackbone
from .svhn import SVHNCNN

__all__ = ['MNISTCNN', 'MNISTFC', 'STNBackbone', 'SVHNCNN']
