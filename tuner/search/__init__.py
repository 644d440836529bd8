"""The importer of optuna: ask / tell / replay, samplers, importances."""

from tuner.search.importances import importances
from tuner.search.searcher import OptunaSearcher

__all__ = ["OptunaSearcher", "importances"]
