"""Registered datasets and transforms of the data pipeline."""

from .cub import CUBParts
from .mnist5k import MNIST5k
from .mnist_3d import RandomExtrusion
from .mnist_addition import RandomAddend
from .mnist_colocalization import ImagesAmongOthers, MNIST5kOneClass, RandomPlacement
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
    'ImagesAmongOthers',
    'SVHN',
    'CropNumber',
    'MNIST5k',
    'MNIST5kOneClass',
    'MultiImageDataset',
    'RandomAddend',
    'RandomClutter',
    'RandomExtrusion',
    'RandomPlacement',
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
