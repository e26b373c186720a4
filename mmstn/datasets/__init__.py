"""Registered datasets and transforms of the data pipeline."""

from .cub import CUBParts
from .mnist5k import MNIST5k
from .multi_image_dataset import MultiImageDataset
from .transforms import (
    RandomClutter,
    RandomCropParts,
    RandomFlipParts,
    RandomProjective,
    RandomRotation,
    RandomSimilarity,
    RandomTPS,
    RandomTransform,
    RandomTranslation,
    RandomWarp,
)

__all__ = [
    'CUBParts',
    'MNIST5k',
    'MultiImageDataset',
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
