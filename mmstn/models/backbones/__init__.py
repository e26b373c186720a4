"""Backbones."""

from .depth_projection import DepthProjection
from .inception_v2 import InceptionV2
from .inception_v3 import InceptionV3Features
from .mnist import MNISTCNN, MNISTFC
from .stn_backbone import STNBackbone
from .svhn import SVHNCNN

__all__ = [
    'DepthProjection',
    'MNISTCNN',
    'MNISTFC',
    'SVHNCNN',
    'InceptionV2',
    'InceptionV3Features',
    'STNBackbone',
]
