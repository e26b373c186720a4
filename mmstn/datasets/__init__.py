"""Registered datasets and transforms of the data pipeline."""

from mmstn import openmmlab

from .cub import CUBParts
from .mnist5k import MNIST5k, MNIST5kOneClass
from .multi_image_dataset import ImagesAmongOthers, MultiImageDataset
from .samplers import DefaultSampler, Draw, InfiniteSampler
from .svhn import SVHN
from .transforms import *
from .transforms import __all__ as _transforms

__all__ = [
    'CUBParts',
    'DefaultSampler',
    'Draw',
    'ImagesAmongOthers',
    'InfiniteSampler',
    'MNIST5k',
    'MNIST5kOneClass',
    'MultiImageDataset',
    'SVHN',
    *_transforms,
]
