"""Registered modules; all of them work as plain modules too."""

from mmstn import openmmlab
from mmstn.grid_generators import *

from .activation_encoder import ActivationEncoder
from .backbones import *
from .colocalizer import STNCoLocalizer
from .heads import *
from .listening import find_transformers, listen
from .loc_nets import *
from .loss_differences import LossDifferences
from .losses import *
from .necks import *
from .spatial_transformer import SpatialTransformer
