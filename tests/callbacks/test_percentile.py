from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from tuner.callbacks.percentile import Percentile
from tuner.callbacks.pruner import Pruner
from tuner.core.ports import Callback
from tuner.core.trial import Objective, Reading
from tuner.testing.callback import EPOCHS, CallbackContract, Losses, curve, feed, trial

MINIMIZE, MAXIMIZE = Objective("val_loss"), Objective("val_score", minimize=False)


class TestMedian(CallbackContract):
    def callback(self) -> Callback:
        return Pruner(Percentile(50.0, 2, EPOCHS, 3), MINIMIZE)

    def stopped(self) -> tuple[Losses, ...]:
        return (*[[(0.1, 0.3)] * 2] * 3, [(0.1, 0.4)] * 2)


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize(("share", "startup"), [(50.0, 1), (50.0, 10), (25.0, 5), (80.0, 1)])
def test_it_decides_as_optuna_does_where_every_trial_finishes(
    minimize: bool, share: float, startup: int
) -> None:
    """Optuna compares with finished trials alone, so here nobody obeys."""
    epochs, warm_up = 8, 3
    generator = np.random.default_rng(1)
    theirs = optuna.pruners.PercentilePruner(share, n_startup_trials=startup, n_warmup_steps=warm_up)
    study = optuna.create_study(direction="minimize" if minimize else "maximize", pruner=theirs)
    ours = Pruner(Percentile(share, warm_up, epochs + 1, startup), MINIMIZE if minimize else MAXIMIZE)
    stops = 0
    for number in range(60):
        values = np.sort(generator.random(epochs))
        asked = study.ask()
        readings: list[Reading] = []
        for epoch, value in enumerate(values[::-1] if minimize else values, 1):
            asked.report(float(value), epoch)
            readings.append(Reading(epoch, 0.0, float(value), val_score=float(value)))
            stop = ours.decide(trial(number), readings)
            assert (stop is not None) == asked.should_prune(), (number, epoch)
            stops += stop is not None
        study.tell(asked, float(value))
    assert stops > 20


def test_stopped_trials_count_among_the_others() -> None:
    pruner = Pruner(Percentile(50.0, 1, 9, 2), MINIMIZE)
    feed(pruner, 0, curve([(0, 0.1)]))
    feed(pruner, 1, curve([(0, 0.9)]))
    assert feed(pruner, 2, curve([(0, 0.4)])) == [None]


def test_nothing_is_compared_at_the_last_epoch_or_before_the_first() -> None:
    pruner = Pruner(Percentile(50.0, 2, 3, 1), MINIMIZE)
    feed(pruner, 0, curve([(0, 0.1)] * 3))
    answers = feed(pruner, 1, curve([(0, 0.9)] * 3))
    assert [answer is None for answer in answers] == [True, False, True]


def test_trials_without_a_value_are_worst() -> None:
    pruner = Pruner(Percentile(50.0, 1, 9, 2), MINIMIZE)
    feed(pruner, 0, curve([(0, math.nan)]))
    feed(pruner, 1, curve([(0, math.nan)]))
    assert feed(pruner, 2, curve([(0, 5.0)])) == [None]
    feed(pruner, 3, curve([(0, 5.0)]))
    feed(pruner, 4, curve([(0, 5.0)]))
    stop = feed(pruner, 5, curve([(0, math.nan)]))[0]
    assert stop is not None
    assert stop.reason == "epoch 1: nan is not among the best 50 % of 5 trials (5 would be)"
