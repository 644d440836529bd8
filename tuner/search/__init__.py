"""The importer of optuna: ask / tell / replay, samplers, importances."""

from tuner.search.fixed import FixedSearcher
from tuner.search.importances import by_best_tenth, importances, of_value_and_gap
from tuner.search.named import faults
from tuner.search.searcher import OptunaSearcher

__all__ = ["FixedSearcher", "OptunaSearcher", "by_best_tenth", "faults", "importances", "of_value_and_gap"]
