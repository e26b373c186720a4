"""Losses."""

from .triplet_hinge_loss import TripletHingeLoss

__all__ = ['TripletHingeLoss']
