"""What compiled rows, and the updates of stacked ones, take of a trial's recipe."""

from __future__ import annotations

from tuner.core.trial import Trial
from tuner.fused import Activation, RowRecipe
from tuner.trainers.torch import optimizers
from tuner.trainers.torch.recipe import FULL, Recipe
from tuner.trainers.torch.schedule import Plateau, learning_rates


def row_recipe(recipe: Recipe, trial: Trial, plateau: Plateau) -> RowRecipe:
    """The recipe of a trial as a row takes it, whose rates follow the plateau."""
    return RowRecipe(
        width=recipe.width,
        depth=recipe.depth,
        layer_norm=recipe.layer_norm,
        batch_norm=recipe.batch_norm,
        activation=Activation[recipe.activation.upper()],
        batch=None if recipe.batch_size == FULL else int(recipe.batch_size) * recipe.accumulation,
        rate=lambda at, steps: plateau.share * learning_rates(recipe, at, steps),
        rule=optimizers.rule(recipe),
        l1=recipe.l1,
        l2=recipe.l2,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm if recipe.clipping == "norm" else None,
        clip_value=recipe.clip_value if recipe.clipping == "value" else None,
        clip_parameters=recipe.clip_parameters,
        ema=recipe.ema,
        dropout=recipe.dropout,
        smoothing=recipe.label_smoothing,
        noise=recipe.input_noise,
        mixup=recipe.mixup,
        distil_weight=recipe.distil_weight,
        distil_temperature=recipe.distil_temperature,
        seed=trial.seed,
    )
