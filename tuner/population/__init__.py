"""Many networks trained side by side: rows, stack, optimizer, batches."""

from tuner.population.layout import Layout
from tuner.population.material import Inputs, Material
from tuner.population.population import Population
from tuner.population.recipe import (
    Activation,
    LossKind,
    RowRecipe,
    Rule,
    Seeds,
    adagrad,
    adam,
    momentum,
    rmsprop,
    sgd,
)
from tuner.population.row import Measured, RowState

__all__ = [
    "Activation",
    "Inputs",
    "Layout",
    "LossKind",
    "Material",
    "Measured",
    "Population",
    "RowRecipe",
    "RowState",
    "Rule",
    "Seeds",
    "adagrad",
    "adam",
    "momentum",
    "rmsprop",
    "sgd",
]
