"""Registered datasets and transforms of the data pipeline."""

from .cub import CUBParts
from .mnist5k import MNIST5k
from .multi_image_dataset import MultiImageDataset
from .svhn import SVHN
from .transforms import (
    CropNumber,
    RandomClutter,
    RandomCropNumber,
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
    'SVHN',
    'CropNumber',
    'MNIST5k',
    'MultiImageDataset',
    'RandomClutter',
    'RandomCropNumber',
    'CUBParts',
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
