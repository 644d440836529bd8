"""Rules: the callbacks of a study, asked together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tuner.core.ports import Callback, EndedCurves, Recalling, Scheduler
from tuner.core.trial import Params, Pause, Reading, Stop, Trial


class Rules:
    """All of a study's callbacks; one of them at most is a scheduler."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = tuple(callbacks)
        self.scheduler = next((each for each in self._callbacks if isinstance(each, Scheduler)), None)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        """Ask every rule, so that each has seen every reading; the first that stops is right."""
        stop: Stop | None = None
        pause: Pause | None = None
        for callback in self._callbacks:
            order = callback.decide(trial, curve)
            if isinstance(order, Stop):
                stop = stop or order
            else:
                pause = pause or order
        return stop or pause

    def replay(self, trial: Trial, stored: Sequence[Reading]) -> None:
        """Show the rules every reading of a stored trial, as it came; what they decide was decided then."""
        _judge_again(self._callbacks, trial, stored)

    def recall(self, ended: EndedCurves, params: Mapping[int, Params], study_seed: int) -> None:
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
