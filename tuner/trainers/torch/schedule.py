"""The learning rate at every step: constant, linear, step, exponential, cosine, one_cycle, with warm-up.

Plain arithmetic in double precision; knows no optimizer.
"""

from __future__ import annotations

import math

from tuner.trainers.torch.recipe import Recipe

START, END = 1 / 25, 1 / 25e4
"""Where one_cycle starts and ends, as shares of the peak: PyTorch's defaults."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of one step.

    With W = round(warmup * steps) the rate rises as (step + 1) / W, then follows the schedule over
    its progress u = (step - W) / (steps - W), which runs from 0 to just below 1.

    Args:
        recipe: the schedule and its parameters.
        step: 0 for the first.
        steps: of the whole trial, were nothing to stop it.
    """
    warm = 0 if recipe.schedule == "one_cycle" else round(recipe.warmup * steps)
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * _share(recipe, (step - warm) / (steps - warm))


def _share(recipe: Recipe, u: float) -> float:
    match recipe.schedule:
        case "linear":
            return 1 - u
        case "step":
            return math.pow(recipe.step_decay, math.floor(u * (recipe.step_drops + 1)))
        case "exponential":
            return math.pow(recipe.exponential_decay, u)
        case "cosine":
            return _cosine(1, 0, u)
        case "one_cycle" if u < recipe.one_cycle_rise:
            return _cosine(START, 1, u / recipe.one_cycle_rise)
        case "one_cycle":
            return _cosine(1, END, (u - recipe.one_cycle_rise) / (1 - recipe.one_cycle_rise))
    return 1.0


def _cosine(start: float, end: float, u: float) -> float:
    """Half a cosine wave from start (u = 0) to end (u = 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * u)) / 2
