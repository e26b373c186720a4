"""Distortions of the paper's MNIST experiments, built on the model's own grid generators."""

from .clutter import RandomClutter
from .parts import RandomCropParts, RandomFlipParts
from .projective import RandomProjective
from .randomness import RandomTransform
from .similarity import RandomRotation, RandomSimilarity
from .tps import RandomTPS
from .translation import RandomTranslation
from .warp import RandomWarp

__all__ = [
    'RandomClutter',
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
