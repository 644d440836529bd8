from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from tests.trainers.torch import plain
from tuner import registry
from tuner.trainers.torch.recipe import SCHEDULES, Recipe
from tuner.trainers.torch.schedule import Plateau, learning_rate, learning_rates

NAMED = sorted(registry.registered(SCHEDULES))


def whole(recipe: Recipe, steps: int) -> list[float]:
    return [learning_rate(recipe, step, steps) for step in range(steps)]


@pytest.mark.parametrize("schedule", NAMED)
@pytest.mark.parametrize("warmup", [0.0, 0.17])
def test_schedule_follows_its_definition(schedule: str, warmup: float) -> None:
    params: dict[str, Any] = {
        "learning_rate": 0.3,
        "schedule": schedule,
        "warmup": 0.0 if schedule == "one_cycle" else warmup,
        "step_decay": 0.2,
        "step_drops": 4,
        "exponential_decay": 0.05,
        "one_cycle_rise": 0.35,
        "restarts": 3,
        "restart_growth": 1.7,
    }
    assert whole(Recipe.of(params), 97) == pytest.approx(plain.rates(params, 97), rel=1e-12)


@pytest.mark.parametrize("schedule", NAMED)
@pytest.mark.parametrize("rise", [0.0, 0.3, 1.0])
def test_a_part_of_the_rates_is_that_of_all_of_them(schedule: str, rise: float) -> None:
    recipe = Recipe(schedule=schedule, warmup=0.2, one_cycle_rise=rise)
    for first, last in ((0, 3), (3, 9), (9, 17), (0, 17)):
        part = learning_rates(recipe, np.arange(first, last), 17)
        assert list(part) == pytest.approx(whole(recipe, 17)[first:last], rel=1e-12)


def test_linear_is_one_minus_t_over_t_end() -> None:
    assert whole(Recipe(learning_rate=1.0, schedule="linear"), 4) == [1.0, 0.75, 0.5, 0.25]


def test_cosine_and_exponential_are_torchs() -> None:
    for recipe, make in (
        (Recipe(learning_rate=0.3, schedule="cosine"), lambda o: lr_scheduler.CosineAnnealingLR(o, 40)),
        (
            Recipe(learning_rate=0.3, schedule="exponential", exponential_decay=0.01),
            lambda o: lr_scheduler.ExponentialLR(o, 0.01 ** (1 / 40)),
        ),
        (
            Recipe(learning_rate=0.3, schedule="step", step_decay=0.5, step_drops=3),
            lambda o: lr_scheduler.StepLR(o, 10, 0.5),
        ),
    ):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
        scheduler, rates = make(optimizer), []
        for _ in range(40):
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        assert whole(recipe, 40) == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize(("restarts", "growth", "first"), [(2, 1, 15), (2, 2, 6), (1, 3, 10), (0, 2, 40)])
def test_warm_restarts_are_torchs(restarts: int, growth: int, first: int) -> None:
    steps = first * sum(growth**i for i in range(restarts + 1))
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
    scheduler, rates = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, growth), []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    recipe = Recipe(
        learning_rate=0.3, schedule="warm_restarts", restarts=restarts, restart_growth=float(growth)
    )
    assert whole(recipe, steps) == pytest.approx(rates, rel=1e-9)
    assert sum(rate > 0.2999 for rate in rates) == restarts + 1


@given(
    st.lists(st.sampled_from([3.0, 2.0, 1.9999, 1.0, 0.5, math.nan, math.inf]), min_size=1, max_size=30),
    st.integers(0, 3),
    st.floats(0.1, 0.9),
)
def test_plateau_is_torchs(losses: list[float], patience: int, factor: float) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience, eps=0.0)
    recipe = Recipe(schedule="plateau", plateau_factor=factor, plateau_patience=patience)
    plateau, constant = Plateau(), Plateau()
    for loss in losses:
        scheduler.step(loss)
        plateau.follow(recipe, loss)
        constant.follow(Recipe(), loss)
        assert 0.3 * plateau.share == pytest.approx(scheduler.get_last_lr()[0], rel=1e-12)
    assert constant == Plateau()


def test_plateau_is_seen_of_losses_below_zero() -> None:
    recipe, plateau = Recipe(schedule="plateau", plateau_patience=0), Plateau()
    for loss in (-1.0, -2.0, -2.0):
        plateau.follow(recipe, loss)
    assert plateau.share == recipe.plateau_factor


def test_warm_up_rises_to_the_peak() -> None:
    rates = whole(Recipe(learning_rate=1.0, warmup=0.3), 10)
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1, 1])


@given(
    st.sampled_from(NAMED),
    st.floats(0, 0.99),
    st.floats(0.05, 0.95),
    st.integers(1, 200),
    st.integers(1, 8),
)
def test_rate_stays_between_zero_and_the_peak(
    schedule: str, warmup: float, share: float, steps: int, drops: int
) -> None:
    recipe = Recipe(
        learning_rate=0.1,
        schedule=schedule,
        warmup=warmup,
        step_decay=share,
        step_drops=drops,
        exponential_decay=share,
        one_cycle_rise=share,
    )
    assert all(0 < rate <= 0.1 * (1 + 1e-12) for rate in whole(recipe, steps))
