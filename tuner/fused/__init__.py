"""Many networks trained side by side: rows, stack, optimizer, batches."""

from tuner.fused.layout import Layout
from tuner.fused.recipe import (
    Activation,
    LossKind,
    RowRecipe,
    UpdateRule,
    adagrad,
    adam,
    momentum,
    rmsprop,
    sgd,
)
from tuner.fused.row import EpochResult, FusedRow
from tuner.fused.row_data import RowInputs, RowTargets
from tuner.fused.rows import RowPool

__all__ = [
    "Activation",
    "EpochResult",
    "FusedRow",
    "Layout",
    "LossKind",
    "RowInputs",
    "RowPool",
    "RowRecipe",
    "RowTargets",
    "UpdateRule",
    "adagrad",
    "adam",
    "momentum",
    "rmsprop",
    "sgd",
]
