"""Grid generators: families of transforms, theta -> sampling grid."""

from .affine import AffineGridGenerator
from .attention import AttentionGridGenerator
from .base import BaseGridGenerator, MatrixGridGenerator
from .projective import ProjectiveGridGenerator
from .similarity import SimilarityGridGenerator
from .tps import TPSGridGenerator
from .translation import TranslationGridGenerator

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
