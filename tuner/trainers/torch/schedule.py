"""The learning rate at every step: constant, linear, step, exponential, cosine, one_cycle, with warm-up.

Plain arithmetic in double precision; knows no optimizer.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tuner.trainers.torch.recipe import Recipe

Rates = NDArray[np.float64]

START, END = 1 / 25, 1 / 25e4
"""Where one_cycle starts and ends, as shares of the peak: PyTorch's defaults."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of one step, see `learning_rates`."""
    return float(learning_rates(recipe, np.array([step]), steps)[0])


def learning_rates(recipe: Recipe, at: NDArray[np.int64], steps: int) -> Rates:
    """The rates of some steps, (N,).

    With W = round(warmup * steps) the rate rises as (step + 1) / W, then follows the schedule over
    its progress u = (step - W) / (steps - W), which runs from 0 to just below 1.

    Args:
        recipe: the schedule and its parameters.
        at: (N,) steps in rising order, 0 for the first.
        steps: of the whole trial, were nothing to stop it.
    """
    warm = 0 if recipe.schedule == "one_cycle" else round(recipe.warmup * steps)
    shares = np.ones(len(at))
    rising = int(np.searchsorted(at, warm))
    if rising:
        shares[:rising] = (at[:rising] + 1) / warm
    if rising < len(at) and recipe.schedule != "constant":
        shares[rising:] = _shares(recipe, (at[rising:] - warm) / (steps - warm))
    return recipe.learning_rate * shares


def _shares(recipe: Recipe, u: Rates) -> Rates:
    match recipe.schedule:
        case "linear":
            return 1 - u
        case "step":
            return np.power(recipe.step_decay, np.floor(u * (recipe.step_drops + 1)))
        case "exponential":
            return np.power(recipe.exponential_decay, u)
        case "cosine":
            return _cosine(1, 0, u)
        case "one_cycle":
            rise = recipe.one_cycle_rise
            falling = _cosine(1, END, (u - rise) / (1 - rise)) if rise < 1 else u
            return np.where(u < rise, _cosine(START, 1, u / rise), falling) if rise else falling
    return np.ones(len(u))


def _cosine(start: float, end: float, u: Rates) -> Rates:
    """Half a cosine wave from start (u = 0) to end (u = 1)."""
    return end + (start - end) * (1 + np.cos(math.pi * u)) / 2
