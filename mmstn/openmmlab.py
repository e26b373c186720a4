"""What every package of mmstn that needs OpenMMLab imports first: it says what to install."""

import contextlib
import importlib
import io
import sys
import warnings

from .dependencies import check_dependencies

check_dependencies()

# Importing mmpretrain prints a message and raises a warning about things that mmstn does not use;
# a user of mmstn can do nothing about either. All else that is printed or warned of is shown.
_output = io.StringIO()
try:
    with warnings.catch_warnings(), contextlib.redirect_stdout(_output):
        warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')
        importlib.import_module('mmcv.cnn.bricks.transformer')
        importlib.import_module('mmpretrain.datasets')
finally:
    sys.stdout.write(_output.getvalue().replace('Could not import OneDL\n', ''))
