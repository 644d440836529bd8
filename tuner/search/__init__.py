"""The importer of optuna: ask / tell / replay, samplers, importances."""

from tuner.search.fixed import FixedSearcher
from tuner.search.importances import importances, of_value_and_gap
from tuner.search.named import faults
from tuner.search.searcher import OptunaSearcher

__all__ = ["FixedSearcher", "OptunaSearcher", "faults", "importances", "of_value_and_gap"]
