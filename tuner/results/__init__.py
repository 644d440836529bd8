"""Stored studies for users: Study, its tables, report, comparison and pictures; read-only."""

from tuner.results.as_json import brief
from tuner.results.comparison import Comparison, compare
from tuner.results.study import Study
from tuner.results.trial import TrialView

__all__ = ["Comparison", "Study", "TrialView", "brief", "compare"]
