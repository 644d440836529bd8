"""The importer of optuna: ask / tell / replay, samplers, importances."""

from tuner.search.fixed import FixedSearcher
from tuner.search.importances import ObservedTrials
from tuner.search.searcher import OptunaSearcher, faults

__all__ = ["FixedSearcher", "ObservedTrials", "OptunaSearcher", "faults"]
