"""Distortions of the paper's MNIST experiments, and the window around a house number."""

from .clutter import RandomClutter
from .crop_number import CropNumber, RandomCropNumber
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
    'RandomProjective',
    'RandomRotation',
    'RandomSimilarity',
    'RandomTPS',
    'RandomTransform',
    'RandomTranslation',
    'RandomWarp',
]
