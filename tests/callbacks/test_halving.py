from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.callbacks.halving import Halving, Hyperband, Rungs
from tuner.callbacks.pruner import Pruner
from tuner.core.ports import Callback
from tuner.core.trial import Objective, Reading, Stop
from tuner.testing.callback import EPOCHS, CallbackContract, Losses, curve, feed, trial

MINIMIZE, MAXIMIZE = Objective("val_loss"), Objective("val_score", minimize=False)

ranks = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1) | st.just(math.inf)), min_size=1, max_size=60)


class TestHalving(CallbackContract):
    def callback(self) -> Callback:
        return Pruner(Halving(Rungs(1, 3, EPOCHS)), MINIMIZE)

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0.1, 0.3)], [(0.1, 0.2)], [(0.1, 0.4)])


class TestHyperband(CallbackContract):
    def callback(self) -> Callback:
        return Pruner(Hyperband(1, 3, EPOCHS), MINIMIZE)

    def stopped(self) -> tuple[Losses, ...]:
        band = Hyperband(1, 3, EPOCHS)
        first = next(n for n in range(99) if band.bracket(trial(n)) == 0)
        second = next(n for n in range(first + 1, 99) if band.bracket(trial(n)) == 0)
        return (*[[(0.1, 0.3)]] * second, [(0.1, 0.4)])


def test_rungs_are_powers_below_the_last_epoch() -> None:
    assert list(Halving(Rungs(1, 3, 27)).rungs) == [1, 3, 9]
    assert list(Halving(Rungs(1, 3, 28)).rungs) == [1, 3, 9, 27]
    assert list(Halving(Rungs(2, 2, 20)).rungs) == [2, 4, 8, 16]
    assert list(Halving(Rungs(1, 3, 27, skip=2)).rungs) == [9]
    assert list(Halving(Rungs(5, 3, 5)).rungs) == []


@given(ranks)
def test_the_best_of_a_rung_is_never_stopped(reached: Sequence[tuple[int, float]]) -> None:
    rule = Halving(Rungs(1, 3, 9))
    best = {}
    for number, rank in reached:
        best[number] = rank
        short = rule.judge(trial(number), 1, rank)
        if rank == min(best.values()):
            assert short is None
        if short is not None:
            assert rank > short.bar >= min(best.values())


@given(ranks)
def test_no_more_than_one_in_so_many_goes_on_of_those_that_come_last(
    reached: Sequence[tuple[int, float]],
) -> None:
    rule = Halving(Rungs(1, 3, 9))
    for number, rank in reached:
        rule.judge(trial(number), 1, rank)
    known = dict(reached)
    order = sorted(known.values())
    finite = [rank for rank in order if math.isfinite(rank)]
    going = {n for n, rank in known.items() if rule.judge(trial(n), 1, rank) is None}
    bar = order[max(len(order) // 3, 1) - 1]
    if finite:
        assert going == {n for n, rank in known.items() if rank <= bar and math.isfinite(rank)}
    else:
        assert going == set(known)


@given(ranks, st.randoms(use_true_random=False))
def test_the_order_of_a_replay_does_not_change_a_rung(
    reached: Sequence[tuple[int, float]], random: Random
) -> None:
    one, two = Halving(Rungs(1, 3, 9)), Halving(Rungs(1, 3, 9))
    known = list(dict(reached).items())
    for number, rank in known:
        one.judge(trial(number), 1, rank)
    random.shuffle(known)
    for number, rank in known:
        two.judge(trial(number), 1, rank)
    for rule in (one, two):
        assert [rule.rungs[1][i] for i in range(len(known))] == sorted(dict(reached).values())


def test_best_value_so_far_counts_and_not_the_newest() -> None:
    pruner = Pruner(Halving(Rungs(3, 3, 9)), MINIMIZE)
    assert feed(pruner, 0, curve([(0, 0.5), (0, 0.4), (0, 0.6)])) == [None, None, None]
    assert feed(pruner, 1, curve([(0, 0.3), (0, 0.8), (0, 0.9)])) == [None, None, None]


def test_reason_names_the_rung_and_the_numbers() -> None:
    pruner = Pruner(Halving(Rungs(3, 3, 27)), MINIMIZE)
    for number in range(23):
        feed(pruner, number, curve([(0, 0.3 + number / 1000)] * 3))
    stop = feed(pruner, 23, curve([(0, 0.412)] * 3))[-1]
    assert stop == Stop(
        "pruner", "rung 3: 0.412 is not among the best 1/3 of 24 trials (0.307 would be)", conclusive=False
    )


def test_a_trial_without_a_value_stops_once_another_has_one() -> None:
    pruner = Pruner(Halving(Rungs(1, 3, 9)), MAXIMIZE)
    nothing = curve([(0.1, math.nan)])
    assert feed(pruner, 0, nothing) == [None]
    assert feed(pruner, 1, curve([(0.1, 0.5)])) == [None]
    stop = feed(pruner, 2, nothing)[0]
    assert stop is not None
    assert stop.reason == "rung 1: nan is not among the best 1/3 of 3 trials (0.5 would be)"


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize(("min_epochs", "reduction", "epochs"), [(1, 3, 28), (2, 2, 17), (1, 4, 20)])
def test_halving_decides_as_optuna_does(minimize: bool, min_epochs: int, reduction: int, epochs: int) -> None:
    ours = Pruner(Halving(Rungs(min_epochs, reduction, epochs)), MINIMIZE if minimize else MAXIMIZE)
    theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=reduction)
    assert _side_by_side(ours, theirs, minimize, epochs) > 50


@pytest.mark.parametrize("minimize", [True, False])
def test_hyperband_decides_as_optuna_does(minimize: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Hyperband(1, 3, 27)
    # Optuna draws the bracket from the study's name; the rule inside the brackets is compared.
    monkeypatch.setattr(
        optuna.pruners.HyperbandPruner,
        "_get_bracket_id",
        lambda self, study, frozen: rule.bracket(trial(frozen.number)),
    )
    theirs = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    ours = Pruner(rule, MINIMIZE if minimize else MAXIMIZE)
    assert _side_by_side(ours, theirs, minimize, 27) > 30
    assert rule.budgets == theirs._trial_allocation_budgets


def test_brackets_are_drawn_in_proportion_to_their_budgets() -> None:
    rule = Hyperband(1, 3, 27)
    drawn = Counter(rule.bracket(trial(n)) for n in range(4000))
    for index, budget in enumerate(rule.budgets):
        assert drawn[index] / 4000 == pytest.approx(budget / sum(rule.budgets), abs=0.03)


def _side_by_side(ours: Pruner, theirs: optuna.pruners.BasePruner, minimize: bool, epochs: int) -> int:
    """Run trials on monotone curves under both; as soon as one prunes, so must the other."""
    generator = np.random.default_rng(0)
    study = optuna.create_study(direction="minimize" if minimize else "maximize", pruner=theirs)
    stops = 0
    for number in range(120):
        # Rounded, so that values tie now and then.
        values = np.sort(generator.random(epochs - 1).round(2))
        asked = study.ask()
        readings: list[Reading] = []
        for epoch, value in enumerate(values[::-1] if minimize else values, 1):
            asked.report(float(value), epoch)
            readings.append(Reading(epoch, 0.0, float(value), val_score=float(value)))
            stop = ours.decide(trial(number), readings)
            assert (stop is not None) == asked.should_prune(), (number, epoch)
            if stop is not None:
                stops += 1
                break
        state = optuna.trial.TrialState.PRUNED if stop else optuna.trial.TrialState.COMPLETE
        study.tell(asked, None if stop else float(value), state=state)
    return stops
