"""Builds mmstn: all metadata is in pyproject.toml, only the optional compiled op comes here.

The op is built where torch and a compiler are found, which takes `pip install
--no-build-isolation`: under pip's default isolation no torch is visible, so nothing is compiled,
and mmstn works without it.
"""

import runpy
import sys

import setuptools

# Without build isolation pip takes the setuptools at hand, whatever pyproject.toml requires. A new
# environment of Python 3.11 has 65, which cannot read the metadata.
OLDEST = 77
if int(setuptools.__version__.partition('.')[0]) < OLDEST:
    sys.exit(
        f'mmstn is built by setuptools {OLDEST} or newer, but this environment has '
        f"{setuptools.__version__}. Run: pip install 'setuptools>={OLDEST}'"
    )

setuptools.setup(**runpy.run_path('mmstn/ops/build.py')['setup_arguments']())
