"""Overfit: trials end some epochs after they turned."""

from __future__ import annotations

import numpy as np

from tests.callbacks.test_rules import spec
from tuner import callbacks
from tuner.callbacks.overfit import Overfit
from tuner.core.ports import Callback
from tuner.core.trial import Stop
from tuner.testing.callback import CallbackContract, Losses, curve, feed

TURNING: Losses = [(1 / n, 0.5 + abs(n - 5) / 10) for n in range(1, 13)]
FALLING: Losses = [(1 / n, 1 / n + 0.1) for n in range(1, 13)]


class TestOverfit(CallbackContract):
    def callback(self) -> Callback:
        return Overfit(3)

    def stopped(self) -> tuple[Losses, ...]:
        return (TURNING[:8],)


def test_a_trial_ends_so_many_epochs_after_it_turned_and_not_before() -> None:
    for epochs in (2, 3, 5):
        answers = feed(Overfit(epochs), 1, curve(TURNING))
        first = next(place for place, answer in enumerate(answers, 1) if answer is not None)
        assert first == 5 + epochs
        stop = answers[first - 1]
        assert isinstance(stop, Stop)
        assert stop.conclusive, "the best epoch lies behind"
        assert "over-fits from epoch 5 on" in stop.reason


def test_a_trial_that_does_not_turn_goes_on() -> None:
    assert not any(feed(Overfit(1), 1, curve(FALLING)))


def test_a_new_low_ends_the_wait() -> None:
    dip = np.array([val for _, val in TURNING])
    dip[8] = 0.4
    answers = feed(Overfit(4), 1, curve([(train, val) for (train, _), val in zip(TURNING, dip, strict=True)]))
    assert not any(answers)


def test_it_is_built_where_the_study_asks_for_it() -> None:
    assert Overfit in [type(rule) for rule in callbacks.build(spec(stop={"overfit": 2}))]
    assert Overfit not in [type(rule) for rule in callbacks.build(spec())]
