from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.callbacks.asha import ASHA
from tuner.callbacks.halving import Halving, Rungs
from tuner.callbacks.pruner import Pruner
from tuner.core.ports import Scheduler
from tuner.core.trial import Objective, Pause, Reading, Stop
from tuner.testing.callback import (
    EPOCHS,
    Losses,
    SchedulerContract,
    SimulatedStudy,
    curve,
    feed,
    simulate,
    trial,
)

MINIMIZE, MAXIMIZE = Objective("val_loss"), Objective("val_score", minimize=False)


def asha(epochs: int = EPOCHS, reduction: int = 3, objective: Objective = MINIMIZE) -> ASHA:
    return ASHA(Rungs(1, reduction, epochs), objective)


def reached(rule: ASHA, losses: Sequence[float], epoch: int = 1, first: int = 1) -> list[int]:
    """Trials that have trained to an epoch; the numbers of those that paused there."""
    answers = {n: feed(rule, n, curve([(0, x)] * epoch))[-1] for n, x in enumerate(losses, first)}
    return [number for number, answer in answers.items() if isinstance(answer, Pause)]


class TestASHA(SchedulerContract):
    def callback(self) -> Scheduler:
        return asha()

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0.1, 0.3)], [(0.1, 0.2)], [(0.1, 0.4)])


class TestASHAInHalves(SchedulerContract):
    def callback(self) -> Scheduler:
        return asha(reduction=2, objective=MAXIMIZE)

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0.1, 0.3)], [(0.1, 0.4)])


def test_best_third_so_far_goes_straight_on_and_the_others_wait_with_their_numbers() -> None:
    rule = asha()
    answers = [feed(rule, n, curve([(0, x)]))[0] for n, x in enumerate([0.5, 0.4, 0.2, 0.3, 0.412, 0.25], 1)]
    assert [answer is None for answer in answers] == [False, False, True, False, False, True]
    assert answers[1] == Pause("pruner", "rung 1: 0.4 waits for 3 trials, of which the best goes on")
    assert answers[4] == Pause("pruner", "rung 1: 0.412 is not among the best 1/3 of 5 trials (0.2 would be)")


def test_the_default_configuration_never_pauses_but_is_compared_with() -> None:
    rule = asha()
    assert reached(rule, [0.9, 0.2, 0.8], first=0) == [1, 2]
    assert list(rule.promote([1, 2], 9, last=False)) == [1]


def test_highest_rung_goes_first_and_there_the_best_while_there_is_room() -> None:
    rule = asha(epochs=27)
    reached(rule, [0.5, 0.3, 0.4, 0.2, 0.6, 0.7], epoch=3)
    assert list(rule.promote(range(1, 7), 9, last=False)) == [4, 2]
    reached(rule, [0.75, 0.01, 0.02, 0.95, 0.03] + [1.0] * 13, first=11)
    # Of 24 at rung 1 eight may go on, of six at rung 3 two.
    everyone = [*range(1, 7), *range(11, 29)]
    assert list(rule.promote(everyone, 99, last=False)) == [4, 2, 12, 13, 15]
    assert list(rule.promote(everyone, 3, last=False)) == [4, 2, 12]
    assert list(rule.promote([3, 1, 13, 15, 14], 99, last=False)) == [13, 15]


def test_trial_that_waits_goes_on_once_enough_others_do_worse() -> None:
    rule = asha()
    assert reached(rule, [0.3, 0.2]) == [1, 2]
    assert list(rule.promote([1, 2], 1, last=False)) == []
    reached(rule, [0.5], first=3)
    assert list(rule.promote([1, 2, 3], 2, last=False)) == [2]
    reached(rule, [0.6, 0.7, 0.8], first=4)
    assert list(rule.promote([1, 3, 4, 5, 6], 2, last=False)) == [1]


def test_trial_without_a_value_never_goes_on() -> None:
    rule = asha(objective=MAXIMIZE)
    answers = [rule.decide(trial(n), [Reading(1, 0.1, math.nan)]) for n in range(1, 10)]
    assert answers[-1] == Pause(
        "pruner", "rung 1: nan is not among the best 1/3 of 9 trials (any number would be)"
    )
    assert list(rule.promote(range(1, 10), 9, last=True)) == []
    assert sorted(rule.dismiss(range(1, 10), last=True)) == list(range(1, 10))


def test_at_the_end_the_best_of_each_rung_goes_on_the_lowest_rung_first() -> None:
    rule = asha(epochs=27)
    reached(rule, [0.5, 0.4], epoch=9)
    reached(rule, [0.45], epoch=3, first=3)
    paused = [1, 2, 3]
    assert list(rule.promote(paused, 5, last=False)) == []
    assert list(rule.promote(paused, 5, last=True)) == [2]
    reached(rule, [0.3], first=4)
    assert list(rule.promote([1, 2, 3, 4], 5, last=True)) == [4]
    feed(rule, 4, curve([(0, 0.3)] * 3))
    assert list(rule.promote([1, 2, 3, 4], 5, last=True)) == [4]


def test_only_the_worst_of_too_many_that_wait_at_a_rung_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ASHA, "KEPT", 4)
    rule = asha()
    reached(rule, [n / 100 for n in range(99, 69, -1)])
    paused = list(range(1, 31))
    going = [n for n in paused if n in rule.promote(paused, 99, last=False)]
    stops = rule.dismiss(paused, last=False)
    assert len(going) == 10
    assert [*stops] == sorted(set(paused) - set(going))[:-4]
    reason = "rung 1: 0.99 is not among the best 1/3 of 30 trials (0.79 would be)"
    assert stops[1] == Stop("pruner", reason, conclusive=False)
    assert rule.dismiss(sorted({*paused} - {*stops}), last=False) == {}


def test_who_could_have_gone_on_is_told_so_when_the_study_ends() -> None:
    rule = asha()
    reached(rule, [0.3, 0.2])
    assert rule.dismiss([1, 2, 77], last=True) == {
        1: Stop(
            "pruner", "rung 1: 0.3 is not among the best 1/3 of 2 trials (0.2 would be)", conclusive=False
        ),
        2: Stop("pruner", "rung 1: the study ended before it went on", conclusive=False),
        77: Stop("pruner", "the study ended before it reached a rung", conclusive=False),
    }


def test_paused_trial_of_a_study_that_had_other_rungs_goes_on_to_the_first_one() -> None:
    rule = ASHA(Rungs(4, 3, 40), MINIMIZE)
    reached(rule, [0.3, 0.2], epoch=3)
    assert list(rule.promote([2, 1], 9, last=False)) == [1, 2]


def test_trial_that_starts_again_leaves_the_rungs_it_had_reached() -> None:
    once, again = asha(epochs=27), asha(epochs=27)
    for rule in (once, again):
        reached(rule, [0.5, 0.6, 0.4, 0.3, 0.7, 0.8], epoch=9)
    reached(again, [0.01], epoch=9, first=7)
    for rule in (once, again):
        reached(rule, [0.9], epoch=2, first=7)
    everyone = range(1, 8)
    assert (
        list(again.promote(everyone, 9, last=False)) == list(once.promote(everyone, 9, last=False)) == [4, 3]
    )
    assert again.dismiss(everyone, last=True) == once.dismiss(everyone, last=True)


losses = st.lists(
    st.lists(st.floats(0, 1) | st.sampled_from([math.nan, 0.5]), min_size=EPOCHS, max_size=EPOCHS),
    min_size=1,
    max_size=14,
)


@settings(deadline=None, max_examples=50)
@given(losses, st.integers(1, 5), st.integers(2, 4))
def test_none_is_better_than_the_best_one_that_was_trained_to_its_end(
    trials: Sequence[Sequence[float]], rows: int, reduction: int
) -> None:
    rule = asha(reduction=reduction)
    simulated = simulate(rule, [[(0.0, loss) for loss in each] for each in trials], rows)

    def best(curves: list[list[Reading]]) -> float:
        return min((r.val_loss for c in curves for r in c if math.isfinite(r.val_loss)), default=math.inf)

    trained = [c for c in simulated.curves.values() if len(c) == EPOCHS]
    assert best(trained) == best([*simulated.curves.values()]) or not trained
    assert simulated.extra <= sum(max(1, len(rule.rungs[e]) // reduction**2) for e in rule.rungs)


def falling(trials: int, seed: int) -> list[Losses]:
    """Learning curves that differ in speed and depth and cross; later trials tend to be deeper."""
    rng = Random(seed)
    made: list[Losses] = []
    for number in range(trials):
        floor, speed = rng.random() * math.exp(-3 * number / trials), rng.uniform(0.15, 0.8)
        made.append([(0.0, floor + math.exp(-speed * e) + rng.gauss(0, 0.01)) for e in range(27)])
    return made


def test_pausing_finds_what_stopping_finds_for_about_as_many_epochs() -> None:
    def deepest(simulated: SimulatedStudy) -> float:
        return min(r.val_loss for c in simulated.curves.values() for r in c)

    epochs, values = [], []
    for seed in range(8):
        trials = falling(200, seed)
        pausing = simulate(asha(epochs=27), trials, rows=4)
        stopping = simulate(Pruner(Halving(Rungs(1, 3, 27)), MINIMIZE), trials, rows=4)
        epochs.append(pausing.epochs / stopping.epochs)
        values.append(deepest(pausing) - deepest(stopping))
    assert 0.8 < statistics.median(epochs) < 1.25
    assert statistics.median(values) < 0.005
