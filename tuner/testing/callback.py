"""What every callback must do; a suite that third parties can run on their own.

Derive a test class whose `callback` returns a fresh one, and pytest runs the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.core.ports import Callback, Scheduler
from tuner.core.trial import Pause, Reading, Stop, Trial

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


def feed(callback: Callback, number: int, readings: Sequence[Reading]) -> list[Stop | Pause | None]:
    """Report a trial's epochs one after the other, and note every answer."""
    return [callback.decide(trial(number), readings[:n]) for n in range(1, len(readings) + 1)]


@dataclass
class SimulatedStudy:
    """What became of a study's trials.

    Attributes:
        curves: what each has trained, by number.
        stops: why those that were ended were ended.
        extra: how many trials went on only because the study was at its end.
    """

    curves: dict[int, list[Reading]] = field(default_factory=dict)
    stops: dict[int, Stop] = field(default_factory=dict)
    extra: int = 0

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return sum(map(len, self.curves.values()))


def simulate(rule: Callback, trials: Sequence[Losses], rows: int) -> SimulatedStudy:
    """Train a study as the engine does, an epoch of every row at a time."""
    simulated, running, paused = SimulatedStudy(), set[int](), set[int]()
    whole, waiting = [curve(losses) for losses in trials], list(range(len(trials)))
    while True:
        room, last = rows - len(running), not waiting and not running
        if isinstance(rule, Scheduler):
            chosen = rule.promote(set(paused), room, last=last)
            assert len({*chosen} & paused) == len(chosen) <= room
            if last and not rule.promote(set(paused), room, last=False):
                simulated.extra += len(chosen)
            paused -= {*chosen}
            running |= {*chosen}
        while waiting and len(running) < rows:
            running.add(waiting.pop(0))
        if not running:
            break
        for number in sorted(running):
            readings = simulated.curves.setdefault(number, [])
            readings.append(whole[number][len(readings)])
            answer = rule.decide(trial(number), readings)
            if len(readings) == len(trials[number]) or answer is not None:
                running.remove(number)
            if isinstance(answer, Stop):
                simulated.stops[number] = answer
            elif answer is not None and len(readings) < len(trials[number]):
                paused.add(number)
        if isinstance(rule, Scheduler):
            dismissed = rule.dismiss(set(paused), last=False)
            assert {*dismissed} <= paused
            simulated.stops |= dismissed
            paused -= {*dismissed}
    if isinstance(rule, Scheduler):
        simulated.stops |= rule.dismiss(paused, last=True)
        assert {*simulated.stops} >= paused
    return simulated


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
        assert isinstance(last, Stop | Pause)
        assert last.rule
        assert last.reason.strip()
        assert "\n" not in last.reason

    @inherited
    @given(curves)
    def test_any_numbers_get_an_answer(self, trials: Sequence[Losses]) -> None:
        callback = self.callback()
        for number, losses in enumerate(trials):
            assert all(isinstance(a, Stop | Pause | None) for a in feed(callback, number, curve(losses)))

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


class SchedulerContract(CallbackContract):
    """Derive from it where the rule pauses trials too."""

    def callback(self) -> Scheduler:
        """A fresh scheduler that has seen nothing."""
        raise NotImplementedError

    @inherited
    @given(curves, st.randoms(use_true_random=False), st.integers(0, 8))
    def test_what_it_knows_does_not_depend_on_the_order_of_the_trials(
        self, trials: Sequence[Losses], rng: Random, room: int
    ) -> None:
        one, two = self.callback(), self.callback()
        for number, losses in enumerate(trials):
            feed(one, number, curve(losses))
        steps = [number for number, losses in enumerate(trials) for _ in losses]
        rng.shuffle(steps)
        trained = [0] * len(trials)
        readings = [curve(losses) for losses in trials]
        for number in steps:
            trained[number] += 1
            two.decide(trial(number), readings[number][: trained[number]])
        paused = {n for n in range(len(trials)) if rng.random() < 0.7}
        for last in (False, True):
            assert one.promote(paused, room, last=last) == two.promote([*paused][::-1], room, last=last)
            assert one.dismiss(paused, last=last) == two.dismiss([*paused][::-1], last=last)

    @inherited
    @given(curves, st.integers(1, 4))
    def test_every_study_ends_and_every_trial_with_it(self, trials: Sequence[Losses], rows: int) -> None:
        simulated = simulate(self.callback(), trials, rows)
        for number, losses in enumerate(trials):
            stop = simulated.stops.get(number)
            assert (stop is not None) == (len(simulated.curves[number]) < len(losses))
            if stop is not None:
                assert stop.rule
                assert stop.reason.strip()
                assert not stop.conclusive

    def test_without_room_none_goes_on(self) -> None:
        scheduler = self.callback()
        paused = [n for n, losses in enumerate(self.stopped()) if feed(scheduler, n, curve(losses))[-1]]
        assert paused
        assert list(scheduler.promote(paused, 0, last=True)) == []
