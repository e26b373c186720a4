"""Tables of experiments: what the paper reports, the runs that reproduce it, and the report."""

from .report import write_report
from .run import Run, run_all
from .table import Cell, Experiment, Figure

__all__ = ['Cell', 'Experiment', 'Figure', 'Run', 'run_all', 'write_report']
