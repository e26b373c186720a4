"""Grid generators: families of transforms, theta -> sampling grid."""

from mmstn import openmmlab

from .base import BaseGridGenerator, MatrixGridGenerator
from .matrix import (
    AffineGridGenerator,
    AttentionGridGenerator,
    ProjectiveGridGenerator,
    SimilarityGridGenerator,
    TranslationGridGenerator,
)
from .tps import TPSGridGenerator

__all__ = [
    'AffineGridGenerator',
    'AttentionGridGenerator',
    'BaseGridGenerator',
    'MatrixGridGenerator',
    'ProjectiveGridGenerator',
    'SimilarityGridGenerator',
    'TPSGridGenerator',
    'TranslationGridGenerator',
]
