"""Percentile: at each epoch the best share of the trials goes on; the median rule is its half.

Compares ranks, of which less is better; `pruner` makes them of the objective and words the reason.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from tuner.callbacks.ranks import Ranks, Shortfall
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Trial


class Percentile:
    """Ends a trial that is worse than a percentile of the other trials at the same epoch.

    The other trials are those that have reached the epoch, whatever became of them. Golovin et
    al., "Google Vizier", KDD 2017, section 3.2.2; the same comparison as Optuna's
    PercentilePruner, which looks at finished trials alone.

    Args:
        share: the share of trials that goes on, in percent.
        min_epochs: the first epoch at which a trial may end.
        epochs: a trial's last epoch, at which nothing is compared.
        startup_trials: how many other trials must have reached an epoch before any ends there.
    """

    def __init__(self, share: float, min_epochs: int, epochs: int, startup_trials: int) -> None:
        self.share = share
        self.min_epochs = min_epochs
        self.epochs = epochs
        self.startup_trials = startup_trials
        self._reached: defaultdict[int, Ranks] = defaultdict(Ranks)

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """Compare the rank with the others' at this epoch, then note it."""
        if not self.min_epochs <= epoch < self.epochs:
            return None
        others = self._reached[epoch]
        others.drop(trial.number)
        count, bar = len(others), self._bar(others)
        others.put(trial.number, rank)
        if count < self.startup_trials or bar is None or rank <= bar:
            return None
        return Shortfall(f"epoch {epoch}", f"among the best {self.share:g} % of {count} trials", bar)

    def recall(self, readings: ReadingColumns, ranks: NDArray[np.float64], study_seed: int) -> None:  # noqa: ARG002
        """Note what trials that are over have reached at every epoch."""
        # Of small integers numpy sorts without comparing them.
        epochs = readings.epoch.astype(np.min_scalar_type(readings.epoch.max(initial=0)))
        order = np.argsort(epochs, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(epochs[order])) + 1):
            epoch = int(epochs[at[0]]) if len(at) else 0
            if self.min_epochs <= epoch < self.epochs:
                self._reached[epoch].put_all(readings.number[at], ranks[at])

    def _bar(self, others: Ranks) -> float | None:
        """The percentile, linearly between two ranks as numpy.percentile's default does it."""
        if not len(others):
            return None
        place = (len(others) - 1) * self.share / 100
        below = int(place)
        low, high = others[below], others[min(below + 1, len(others) - 1)]
        part = place - below
        return low + (high - low) * part if part and low < high else low
