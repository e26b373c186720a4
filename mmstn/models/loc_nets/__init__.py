"""Localisation networks: theta from a feature map."""

from .backbone import BackboneLocNet
from .base import BaseLocNet
from .conv import ConvLocNet
from .fc import FCLocNet
from .parallel import ParallelLocNet

__all__ = ['BackboneLocNet', 'BaseLocNet', 'ConvLocNet', 'FCLocNet', 'ParallelLocNet']
