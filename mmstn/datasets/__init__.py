"""Registered datasets and transforms of the data pipeline."""

from .mnist5k import MNIST5k
from .mnist_3d import RandomExtrusion
from .mnist_addition import RandomAddend
from .mnist_colocalization import ImagesAmongOthers, MNIST5kOneClass, RandomPlacement
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
    'ImagesAmongOthers',
    'MNIST5k',
    'MNIST5kOneClass',
    'MultiImageDataset',
    'RandomAddend',
    'RandomClutter',
    'RandomExtrusion',
    'RandomPlacement',
    'RandomProjective',
    'RandomRotation',
    'RandomSimilarity',
    'RandomTPS',
    'RandomTransform',
    'RandomTranslation',
    'RandomWarp',
]
