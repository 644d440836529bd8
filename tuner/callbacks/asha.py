"""ASHA: trials pause at rungs, and whenever there is room the best of them go on.

Says which paused trials continue. In every turn the engine asks `promote` where rows are free, and then
`dismiss`, before it asks the searcher for new trials.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile

from tuner.callbacks.halving import Rungs
from tuner.callbacks.ranks import Bests, Ranks
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Objective, Pause, Reading, Stop, Trial


class ASHA:
    """Asynchronous successive halving, the promoting variant.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2: of
    the n trials that have reached a rung, the best ``n // reduction`` may go on, those of the
    highest rung first. A trial that is one of them as it arrives does not pause at all.

    Trial 0, the default configuration, never pauses; one without a finite value never goes on.
    What is known follows from the trials' curves alone and not from the order in which they came.

    Args:
        rungs: where trials pause.
        objective: what trials are compared by: the best value so far.
    """

    KEPT = 64
    """How many trials may wait at each rung beside those that are to go on."""

    def __init__(self, rungs: Rungs, objective: Objective) -> None:
        self.rungs = rungs
        self._objective = objective
        self._bests = Bests(objective)

    def recall(self, readings: ReadingColumns, study_seed: int) -> None:
        """Note what trials that are over have reached at the rungs."""
        self.rungs.recall(readings, readings.bests(self._objective), study_seed)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Pause | None:
        """Pause at a rung, unless the trial is among the best there so far."""
        epoch = curve[-1].epoch
        ranks = self.rungs.reach(trial.number, epoch, self._bests.rank(trial, curve))
        if ranks is None or trial.number == 0:
            return None
        if ranks.is_among(trial.number, self._share(ranks)):
            return None
        return Pause("pruner", self._reason(trial.number, epoch, self._share(ranks)))

    def promote(self, paused: Collection[int], room: int, *, last: bool) -> Sequence[int]:
        """The paused trials that go on: highest rung first, best first, at most `room`.

        At the end of a study the best of a rung with too few trials goes on, too, so that no trial
        is better than all those that were trained to their end. The lowest rung comes first: the trial that
        it sends up may be better than those above.
        """
        waiting = self._by_rung(paused)
        chosen = [n for epoch in sorted(waiting, reverse=True) for n in self._going(epoch, waiting[epoch])]
        # A trial below every rung comes from a study that had others; it has the first one before it.
        chosen += sorted(self.rungs.below(paused))
        if last and not chosen:
            chosen = next(filter(None, (self._final(e, waiting[e]) for e in sorted(waiting))), [])
        return chosen[: max(room, 0)]

    def dismiss(self, paused: Collection[int], *, last: bool) -> Mapping[int, Stop]:
        """The paused trials that end: the worst of more than `KEPT` at a rung; with `last` all of them."""
        if not last and max(self.rungs.tally(paused).values(), default=0) <= self.KEPT:
            return {}
        stops = dict.fromkeys(paused, "the study ended before it reached a rung") if last else {}
        for epoch, numbers in self._by_rung(paused).items():
            going, share = self._going(epoch, numbers), self._share(self.rungs[epoch])
            if last:
                stops |= {n: self._reason(n, epoch, max(share, 1)) for n in numbers}
                going = going or self._final(epoch, numbers)
                stops |= dict.fromkeys(going, f"rung {epoch}: the study ended before it went on")
            else:
                stops |= {n: self._reason(n, epoch, share) for n in numbers[len(going) + self.KEPT :]}
        return {n: Stop("pruner", stops[n], conclusive=False) for n in sorted(stops)}

    def _share(self, ranks: Ranks) -> int:
        """How many of a rung's trials may go on."""
        return len(ranks) // self.rungs.reduction

    def _going(self, epoch: int, numbers: Sequence[int]) -> list[int]:
        """Those of a rung's paused trials, the best first, that may go on."""
        ranks = self.rungs[epoch]
        share = self._share(ranks)
        return list(takewhile(lambda number: ranks.is_among(number, share), numbers))

    def _final(self, epoch: int, numbers: Sequence[int]) -> list[int]:
        """The paused trial of a rung that goes on at the end of the study, if there is one."""
        return [number for number in numbers[:1] if self.rungs[epoch].is_among(number, 1)]

    def _by_rung(self, paused: Collection[int]) -> dict[int, list[int]]:
        """Paused trials by their highest rung, the best first."""
        waiting: dict[int, list[int]] = {}
        for number in paused:
            epoch = self.rungs.highest(number)
            if epoch is not None:
                waiting.setdefault(epoch, []).append(number)
        for epoch, numbers in waiting.items():
            numbers.sort(key=self.rungs[epoch].place)
        return waiting

    def _reason(self, number: int, epoch: int, share: int) -> str:
        ranks, reduction = self.rungs[epoch], self.rungs.reduction
        value = self._bests.words(ranks.place(number)[0])
        if share == 0:
            return f"rung {epoch}: {value} waits for {reduction} trials, of which the best goes on"
        count = "1 trial" if len(ranks) == 1 else f"{len(ranks)} trials"
        bar = self._bests.words(ranks[share - 1]) if math.isfinite(ranks[share - 1]) else "any number"
        return f"rung {epoch}: {value} is not among the best 1/{reduction} of {count} ({bar} would be)"
