"""The learning rate at every step: constant, linear, step, exponential, cosine, one_cycle, with warm-up.

Plain arithmetic in double precision. A schedule is a function ``(progress, recipe)`` that returns shares of
the peak rate; progress is an array (N,) that runs from 0, behind the warm-up, to just below 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.trainers.torch.recipe import SCHEDULES, Recipe

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
    schedule = registry.load(recipe.schedule, SCHEDULES)
    warm = 0 if schedule is one_cycle else round(recipe.warmup * steps)
    shares = np.ones(len(at))
    rising = int(np.searchsorted(at, warm))
    if rising:
        shares[:rising] = (at[:rising] + 1) / warm
    if rising < len(at) and schedule is not constant:
        shares[rising:] = schedule((at[rising:] - warm) / (steps - warm), recipe)
    return recipe.learning_rate * shares


def constant(progress: Rates, recipe: Recipe) -> Rates:  # noqa: ARG001
    """The peak rate."""
    return np.ones(len(progress))


def linear(progress: Rates, recipe: Recipe) -> Rates:  # noqa: ARG001
    """Falls to 0."""
    return 1 - progress


def step(progress: Rates, recipe: Recipe) -> Rates:
    """Drops a few times, evenly spaced."""
    return np.power(recipe.step_decay, np.floor(progress * (recipe.step_drops + 1)))


def exponential(progress: Rates, recipe: Recipe) -> Rates:
    """Falls by the same factor at every step."""
    return np.power(recipe.exponential_decay, progress)


def cosine(progress: Rates, recipe: Recipe) -> Rates:  # noqa: ARG001
    """Falls to 0 along half a cosine wave (Loshchilov and Hutter 2017)."""
    return _wave(1, 0, progress)


def one_cycle(progress: Rates, recipe: Recipe) -> Rates:
    """Rises to the peak and falls far below its start (Smith and Topin 2019); has no other warm-up."""
    rise = recipe.one_cycle_rise
    falling = _wave(1, END, (progress - rise) / (1 - rise)) if rise < 1 else progress
    return np.where(progress < rise, _wave(START, 1, progress / rise), falling) if rise else falling


def _wave(start: float, end: float, u: Rates) -> Rates:
    """Half a cosine wave from start (u = 0) to end (u = 1)."""
    return end + (start - end) * (1 + np.cos(math.pi * u)) / 2
