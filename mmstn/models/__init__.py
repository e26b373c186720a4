"""Registered modules; all of them work as plain modules too."""

from mmstn import openmmlab  # noqa: F401
from mmstn.grid_generators import *  # noqa: F403

from .activation_encoder import ActivationEncoder  # noqa: F401
from .backbones import *  # noqa: F403
from .colocalizer import STNCoLocalizer  # noqa: F401
from .heads import *  # noqa: F403
from .listening import find_transformers, listen  # noqa: F401
from .loc_nets import *  # noqa: F403
from .loss_differences import LossDifferences  # noqa: F401
from .losses import *  # noqa: F403
from .necks import *  # noqa: F403
from .spatial_transformer import SpatialTransformer  # noqa: F401
