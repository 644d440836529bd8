"""Rungs, and on them Halving and Hyperband: at each rung one trial in so many goes on, the others end.

Compares ranks, of which less is better; `pruner` makes them of the objective and words the reason.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tuner.callbacks.ranks import Ranks, Shortfall
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Trial


class Rungs:
    """What trials have reached at the epochs at which they are compared.

    A trial that starts again is taken from every rung that it has not reached anew.

    Args:
        min_epochs: the first rung.
        reduction: each rung has so many times the epochs of the one before.
        epochs: a trial's last epoch, which is never a rung.
        skip: how many of the first rungs are left out.
    """

    def __init__(self, min_epochs: int, reduction: int, epochs: int, skip: int = 0) -> None:
        self.reduction = reduction
        self._ranks: dict[int, Ranks] = {}
        self._highest: dict[int, int] = {}
        rung = min_epochs * reduction**skip
        while rung < epochs:
            self._ranks[rung] = Ranks()
            rung *= reduction

    def __iter__(self) -> Iterator[int]:
        return iter(self._ranks)

    def __getitem__(self, epoch: int) -> Ranks:
        return self._ranks[epoch]

    def reach(self, number: int, epoch: int, rank: float) -> Ranks | None:
        """Note what a trial has reached; the rung's ranks where the epoch is one."""
        if self._highest.get(number, 0) >= epoch:
            self._forget(number, epoch)
        if epoch not in self._ranks:
            return None
        self._highest[number] = epoch
        self._ranks[epoch].put(number, rank)
        return self._ranks[epoch]

    def recall(self, readings: ReadingColumns, ranks: NDArray[np.float64], study_seed: int) -> None:  # noqa: ARG002
        """Note what trials that are over have reached; their highest rungs are not needed."""
        for epoch, known in self._ranks.items():
            at = readings.epoch == epoch
            known.put_all(readings.number[at], ranks[at])

    def highest(self, number: int) -> int | None:
        """The epoch of the last rung that a trial has reached; None when there is none."""
        return self._highest.get(number)

    def below(self, numbers: Collection[int]) -> set[int]:
        """Those of the trials that have reached no rung."""
        return set(numbers).difference(self._highest)

    def tally(self, numbers: Collection[int]) -> Counter[int | None]:
        """How many of the trials have each rung as their highest."""
        return Counter(map(self._highest.get, numbers))

    def _forget(self, number: int, epoch: int) -> None:
        """A trial is at an epoch again: what it reached from there on is void."""
        del self._highest[number]
        for rung, ranks in self._ranks.items():
            if rung >= epoch:
                ranks.drop(number)
            else:
                self._highest[number] = rung


class Halving:
    """Asynchronous successive halving, the stopping variant.

    A trial that reaches a rung goes on if it is among the best ``1 / reduction`` of those that
    have reached it so far (the best of them always is), or else ends. Li et al., "A System for
    Massively Parallel Hyperparameter Tuning", MLSys 2020; the same rule as Optuna's
    SuccessiveHalvingPruner.

    Args:
        rungs: where trials are compared.
    """

    def __init__(self, rungs: Rungs) -> None:
        self.rungs = rungs

    def recall(self, readings: ReadingColumns, ranks: NDArray[np.float64], study_seed: int) -> None:
        """See `Rungs.recall`."""
        self.rungs.recall(readings, ranks, study_seed)

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """Note the rank where the epoch is a rung, and compare it with the others there."""
        ranks = self.rungs.reach(trial.number, epoch, rank)
        if ranks is None:
            return None
        reduction = self.rungs.reduction
        bar = ranks[max(len(ranks) // reduction, 1) - 1]
        if math.isinf(bar):
            # Too few trials have a value at all: those that have one go on.
            bar = ranks[0]
            if rank < math.inf:
                return None
        if rank <= bar:
            return None
        count = "1 trial" if len(ranks) == 1 else f"{len(ranks)} trials"
        return Shortfall(f"rung {epoch}", f"among the best 1/{reduction} of {count}", bar)


class Hyperband:
    """Halving in several brackets, which differ in how early they begin to end trials.

    A trial's bracket is drawn from its number, in proportion to the brackets' budgets. Li et al.,
    "Hyperband", JMLR 2018, algorithm 1, with the asynchronous brackets and budgets of Optuna's
    HyperbandPruner.
    """

    def __init__(self, min_epochs: int, reduction: int, epochs: int) -> None:
        count = 1
        while min_epochs * reduction**count <= epochs:
            count += 1
        self.brackets = [Halving(Rungs(min_epochs, reduction, epochs, skip)) for skip in range(count)]
        self.budgets = [
            math.ceil(count * reduction ** (count - 1 - skip) / (count - skip)) for skip in range(count)
        ]

    def bracket(self, trial: Trial) -> int:
        """The index of the trial's bracket; always the same for its number."""
        place = trial.seed("bracket") % sum(self.budgets)
        return bisect_right(list(accumulate(self.budgets)), place)

    def recall(self, readings: ReadingColumns, ranks: NDArray[np.float64], study_seed: int) -> None:
        """Each bracket recalls its own trials."""
        numbers, places = np.unique(readings.number, return_inverse=True)
        trials = (Trial(number, {}, study_seed) for number in numbers.tolist())
        bracket = np.array([self.bracket(trial) for trial in trials], int)[places]
        for index, halving in enumerate(self.brackets):
            its = bracket == index
            halving.recall(
                ReadingColumns(readings.number[its], readings.epoch[its], {}), ranks[its], study_seed
            )

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """As the trial's bracket judges."""
        return self.brackets[self.bracket(trial)].judge(trial, epoch, rank)
