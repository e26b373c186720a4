"""Distortions of MNIST, windows around house numbers, parts of birds that follow the image."""

from .addend import RandomAddend
from .clutter import RandomClutter
from .crop_number import CropNumber, RandomCropNumber
from .parts import RandomCropParts, RandomFlipParts
from .placement import RandomExtrusion, RandomPlacement, RandomTranslation
from .projective import RandomProjective
from .randomness import RandomTransform, SeedBySample
from .similarity import RandomRotation, RandomSimilarity
from .tps import RandomTPS
from .warp import RandomWarp

__all__ = [
    'CropNumber',
    'RandomAddend',
    'RandomClutter',
    'RandomCropNumber',
    'RandomCropParts',
    'RandomExtrusion',
    'RandomFlipParts',
    'RandomPlacement',
    'RandomProjective',
    'RandomRotation',
    'RandomSimilarity',
    'RandomTPS',
    'RandomTransform',
    'RandomTranslation',
    'RandomWarp',
    'SeedBySample',
]
