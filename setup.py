"""Builds mmstn: all metadata is in pyproject.toml, only the optional compiled op comes here.

The op is built where torch and a compiler are found, which takes `pip install
--no-build-isolation`: under pip's default isolation no torch is visible, so nothing is compiled,
and mmstn works without it.
"""

import runpy

from setuptools import setup

setup(**runpy.run_path('mmstn/ops/_extension.py')['setup_arguments']())
