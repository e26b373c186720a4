"""Distortions of MNIST, windows around house numbers, parts of birds that follow the image."""

from .clutter import RandomClutter
from .crop_number import CropNumber, RandomCropNumber
from .parts import RandomCropParts, RandomFlipParts
from .projective import RandomProjective
from .randomness import RandomTransform
from .similarity import RandomRotation, RandomSimilarity
from .tps import RandomTPS
from .translation import RandomTranslation
from .warp import RandomWarp

__all__ = [
    'CropNumber',
    'RandomClutter',
    'RandomCropNumber',
    'RandomCropParts',
    'RandomFlipParts',
    'RandomProjective',
    'RandomRotation',
    'RandomSimilarity',
    'RandomTPS',
    'RandomTransform',
    'RandomTranslation',
    'RandomWarp',
]
