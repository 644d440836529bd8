"""What compiled rows, and the updates of stacked ones, take of a trial's recipe."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tuner.core.trial import Trial
from tuner.fused import Activation, RowRecipe
from tuner.trainers.torch import optimizers
from tuner.trainers.torch.recipe import FULL, NAMES, Recipe
from tuner.trainers.torch.schedule import Plateau, learning_rates


def row_recipe(recipe: Recipe, trial: Trial, plateau: Plateau) -> RowRecipe:
    """The recipe of a trial as a row takes it, whose rates follow the plateau."""
    alike = {each.name: getattr(recipe, each.name) for each in fields(RowRecipe) if each.name in NAMES}
    own: dict[str, Any] = {
        "widths": recipe.widths,
        "activation": Activation[recipe.activation.upper()],
        "batch": None if recipe.batch_size == FULL else int(recipe.batch_size) * recipe.accumulation,
        "rate": lambda at, steps: plateau.share * learning_rates(recipe, at, steps),
        "rule": optimizers.rule(recipe),
        "clip_norm": recipe.clip_norm if recipe.clipping == "norm" else None,
        "clip_value": recipe.clip_value if recipe.clipping == "value" else None,
        "smoothing": recipe.label_smoothing,
        "noise": recipe.input_noise,
        "seed": trial.seed,
    }
    return RowRecipe(**alike | own)
