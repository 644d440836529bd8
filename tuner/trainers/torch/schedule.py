"""The learning rate at every step: a schedule, with warm-up.

Plain arithmetic in double precision. A schedule is a function ``(progress, recipe)`` that returns shares of
the peak rate; progress is an array (N,) that runs from 0, behind the warm-up, to just below 1. What depends
on how a trial fares is `Plateau`, by whose share every engine multiplies the rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.trainers.torch.recipe import SCHEDULES, Recipe

Rates = NDArray[np.float64]

LEAST = 1e-4
"""The share of the validation loss by which it has to fall, or it is on a plateau: PyTorch's default."""

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


def warm_restarts(progress: Rates, recipe: Recipe) -> Rates:
    """Falls to 0 as cosine does, and again from the peak at each restart (Loshchilov and Hutter 2017)."""
    lengths = recipe.restart_growth ** np.arange(recipe.restarts + 1.0)
    ends = np.cumsum(lengths) / lengths.sum()
    cycle = np.minimum(np.searchsorted(ends, progress, "right"), recipe.restarts)
    start = np.concatenate([[0.0], ends])[cycle]
    return _wave(1, 0, (progress - start) / (ends[cycle] - start))


def plateau(progress: Rates, recipe: Recipe) -> Rates:  # noqa: ARG001
    """The peak rate, as long as `Plateau` leaves it."""
    return np.ones(len(progress))


@dataclass(slots=True)
class Plateau:
    """What is left of the rate of a trial whose validation loss has stopped falling: all, of other schedules.

    As PyTorch's `ReduceLROnPlateau`, one share of the rate for each epoch.

    Attributes:
        share: of the rate.
        best: the lowest validation loss so far, as far as one fell by `LEAST` of it.
        waited: epochs since then, or since the rate was last lowered.
    """

    share: float = 1.0
    best: float = math.inf
    waited: int = 0

    def follow(self, recipe: Recipe, val_loss: float) -> None:
        """Take in an epoch."""
        if registry.load(recipe.schedule, SCHEDULES) is not plateau:
            return
        if val_loss < (self.best - LEAST * abs(self.best) if self.best < math.inf else self.best):
            self.best, self.waited = val_loss, 0
        else:
            self.waited += 1
        if self.waited > recipe.plateau_patience:
            self.share, self.waited = self.share * recipe.plateau_factor, 0


def one_cycle(progress: Rates, recipe: Recipe) -> Rates:
    """Rises to the peak and falls far below its start (Smith and Topin 2019); has no other warm-up."""
    rise = recipe.one_cycle_rise
    falling = _wave(1, END, (progress - rise) / (1 - rise)) if rise < 1 else progress
    return np.where(progress < rise, _wave(START, 1, progress / rise), falling) if rise else falling


def _wave(start: float, end: float, u: Rates) -> Rates:
    """Half a cosine wave from start (u = 0) to end (u = 1)."""
    return end + (start - end) * (1 + np.cos(math.pi * u)) / 2
