"""Rules: the callbacks of a study, asked together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tuner.core.ports import Callback, EndedCurves, Recalling, Scheduler
from tuner.core.trial import Params, Pause, Reading, Stop, Trial, TrialRecord
from tuner.engine.ending import EndConditions
from tuner.engine.progress import StudyProgress


class Rules:
    """All of a study's callbacks; one of them at most is a scheduler."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = tuple(callbacks)
        self.scheduler = next((each for each in self._callbacks if isinstance(each, Scheduler)), None)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        """Ask every rule, so that each has seen every reading; the first one that stops decides."""
        stop: Stop | None = None
        pause: Pause | None = None
        for callback in self._callbacks:
            order = callback.decide(trial, curve)
            if isinstance(order, Stop):
                stop = stop or order
            else:
                pause = pause or order
        return stop or pause

    def orders(
        self, numbers: Iterable[int], progress: StudyProgress, ends: EndConditions
    ) -> dict[int, Stop | Pause]:
        """What is decided of running trials that have a new reading, by number."""
        orders: dict[int, Stop | Pause] = {}
        for number in numbers:
            active = progress.running[number]
            order = self.decide(active.trial, active.curve)
            if not isinstance(order, Stop) and progress.meets(active.best):
                order = ends.on_target(active.value) or order
            if order is not None and active.order is None:
                orders[number] = order
        return orders

    def replay(
        self,
        history: Sequence[TrialRecord],
        curves: Mapping[int, Sequence[Reading]],
        ended: EndedCurves | None,
        study_seed: int,
    ) -> None:
        """Show the rules every stored reading, as it came; what they decide was decided then."""
        for record in history:
            if stored := curves.get(record.number):
                _judge_again(self._callbacks, Trial(record.number, record.params, study_seed), stored)
        if ended is not None:
            self._recall(ended, {record.number: record.params for record in history}, study_seed)

    def _recall(self, ended: EndedCurves, params: Mapping[int, Params], study_seed: int) -> None:
        """Let the rules know the trials that are over, the built-in ones without an object per epoch."""
        recalling = [rule for rule in self._callbacks if isinstance(rule, Recalling)]
        others = [rule for rule in self._callbacks if not isinstance(rule, Recalling)]
        for readings in ended.columns() if recalling else ():
            for rule in recalling:
                rule.recall(readings, study_seed)
        for number, curve in ended.curves() if others else ():
            _judge_again(others, Trial(number, params[number], study_seed), curve)


def _judge_again(rules: Iterable[Callback], trial: Trial, stored: Sequence[Reading]) -> None:
    curve: list[Reading] = []
    for reading in stored:
        curve.append(reading)
        for rule in rules:
            rule.decide(trial, curve)
