"""Tables of experiments: what the paper reports, the runs that reproduce it, and the report.

``tools/reproduce.py`` is the command; nothing else in mmstn depends on this package.
"""

from .report import write_report
from .run import Run
from .scheduler import run_all
from .table import Cell, Experiment, Figure

__all__ = ['Cell', 'Experiment', 'Figure', 'Run', 'run_all', 'write_report']
