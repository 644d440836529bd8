"""Many networks trained side by side: rows, stack, optimizer, batches."""

from tuner.fused.layout import Layout
from tuner.fused.recipe import (
    Activation,
    LossKind,
    RowRecipe,
    Seeds,
    UpdateRule,
    adagrad,
    adam,
    momentum,
    rmsprop,
    sgd,
)
from tuner.fused.row import EpochResult, RowState
from tuner.fused.row_data import RowInputs, RowTargets
from tuner.fused.rows import FusedRows

__all__ = [
    "Activation",
    "EpochResult",
    "FusedRows",
    "Layout",
    "LossKind",
    "RowInputs",
    "RowRecipe",
    "RowState",
    "RowTargets",
    "Seeds",
    "UpdateRule",
    "adagrad",
    "adam",
    "momentum",
    "rmsprop",
    "sgd",
]
