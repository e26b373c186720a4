"""Registered datasets and transforms of the data pipeline."""

from .mnist5k import MNIST5k
from .multi_image_dataset import MultiImageDataset
from .transforms import (
    RandomClutter,
    RandomProjective,
    RandomRotation,
    RandomSimilarity,
    RandomTPS,
    RandomTransform,
    RandomTranslation,
    RandomWarp,
)

__all__ = [
    'MNIST5k',
    'MultiImageDataset',
    'RandomClutter',
    'RandomProjective',
    'RandomRotation',
    'RandomSimilarity',
    'RandomTPS',
    'RandomTransform',
    'RandomTranslation',
    'RandomWarp',
]
