"""What every callback must do; a suite that third parties can run on their own.

Derive a test class whose `callback` returns a fresh one, and pytest runs the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.core.ports import Callback
from tuner.core.trial import Reading, Stop, Trial

EPOCHS = 12
"""How long the suite's trials train; studies under test should say so too."""

Losses = Sequence[tuple[float, float]]

loss = st.floats(0, 10) | st.sampled_from([0.0, 1e-9, 1e6, 1e300, math.inf, math.nan])
curves = st.lists(st.lists(st.tuples(loss, loss), min_size=1, max_size=EPOCHS), min_size=1, max_size=8)
# The suite's methods run once in every class that derives from it, which hypothesis calls unusual.
inherited = settings(suppress_health_check=[HealthCheck.differing_executors], max_examples=25, deadline=None)


def trial(number: int) -> Trial:
    """A trial without params."""
    return Trial(number, {}, study_seed=0)


def curve(losses: Losses) -> list[Reading]:
    """A curve from pairs of train_loss and val_loss."""
    return [
        Reading(epoch, train, val, val_score=1 - val, seconds=1.0)
        for epoch, (train, val) in enumerate(losses, 1)
    ]


def feed(callback: Callback, number: int, readings: Sequence[Reading]) -> list[Stop | None]:
    """Report a trial's epochs one after the other, and note every answer."""
    return [callback.decide(trial(number), readings[:n]) for n in range(1, len(readings) + 1)]


class CallbackContract:
    """Derive from it; what `callback` returns is put to the test."""

    def callback(self) -> Callback:
        """A fresh callback that has seen nothing."""
        raise NotImplementedError

    def stopped(self) -> tuple[Losses, ...]:
        """Trials, in the order of their numbers, the last of which ends at its last epoch."""
        raise NotImplementedError

    def test_it_stops_with_a_rule_and_a_reason(self) -> None:
        callback = self.callback()
        answers = [feed(callback, number, curve(losses)) for number, losses in enumerate(self.stopped())]
        *before, last = answers[-1]
        assert before == [None] * len(before)
        assert isinstance(last, Stop)
        assert last.rule
        assert last.reason.strip()
        assert "\n" not in last.reason

    @inherited
    @given(curves)
    def test_any_numbers_get_an_answer(self, trials: Sequence[Losses]) -> None:
        callback = self.callback()
        for number, losses in enumerate(trials):
            assert all(isinstance(a, Stop | None) for a in feed(callback, number, curve(losses)))

    @inherited
    @given(curves)
    def test_a_replay_gives_the_same_answers(self, trials: Sequence[Losses]) -> None:
        one, two = self.callback(), self.callback()
        for number, losses in enumerate(trials):
            assert feed(one, number, curve(losses)) == feed(two, number, curve(losses))

    @inherited
    @given(curves, st.integers(1, EPOCHS))
    def test_a_trial_that_starts_again_counts_once(self, trials: Sequence[Losses], cut: int) -> None:
        once, twice = self.callback(), self.callback()
        for number, losses in enumerate(trials):
            readings = curve(losses)
            feed(twice, number, readings[:cut])
            assert feed(once, number, readings) == feed(twice, number, readings)

    @inherited
    @given(curves)
    def test_asking_twice_gives_the_same_answer(self, trials: Sequence[Losses]) -> None:
        callback = self.callback()
        for number, losses in enumerate(trials):
            readings = curve(losses)
            for n in range(1, len(readings) + 1):
                first = callback.decide(trial(number), readings[:n])
                assert callback.decide(trial(number), readings[:n]) == first
