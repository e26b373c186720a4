"""Registered datasets and transforms of the data pipeline."""

from .mnist5k import MNIST5k
from .multi_image_dataset import MultiImageDataset
from .svhn import SVHN
from .transforms import *  # noqa: F403

__all__ = ['SVHN', 'MNIST5k', 'MultiImageDataset']
