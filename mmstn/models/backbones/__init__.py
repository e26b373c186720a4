"""Backbones."""

from .depth_projection import DepthProjection
from .mnist import MNISTCNN, MNISTFC
from .stn_backbone import STNBackbone

__all__ = ['DepthProjection', 'MNISTCNN', 'MNISTFC', 'STNBackbone']
