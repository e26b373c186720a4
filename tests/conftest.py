"""Registers what mmstn has, and lets tests import the packages of tools/."""

import sys
from pathlib import Path

import mmstn

sys.path.append(str(Path(__file__).parents[1] / 'tools'))  # last: tools/test.py is not Python's own
