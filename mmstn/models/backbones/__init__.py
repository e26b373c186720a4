"""Backbones."""

from .inception_v2 import InceptionV2
from .inception_v3 import InceptionV3Features
from .mnist import MNISTCNN, MNISTFC
from .stn_backbone import STNBackbone

__all__ = ['InceptionV2', 'InceptionV3Features', 'MNISTCNN', 'MNISTFC', 'STNBackbone']
