"""ReadingColumns: the readings of many trials as columns.

Used where a stored study is read: a `Reading` for each epoch would take minutes and gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.core.trial import Objective


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Readings, sorted by trial and epoch.

    Attributes:
        number: (E,) the trial of each reading.
        epoch: (E,) 1 for the first.
        numbers: (E,) each number by name; `nan` where it was not measured.
    """

    number: NDArray[np.int64]
    epoch: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]

    def get(self, name: str) -> NDArray[np.float64]:
        """(E,) the numbers called `name`, as `Reading.get` has them."""
        if name == "gap":
            with np.errstate(invalid="ignore"):
                return self.numbers["val_loss"] - self.numbers["train_loss"]
        return self.numbers[name] if name in self.numbers else np.full(len(self.epoch), np.nan)

    def bests(self, objective: Objective) -> NDArray[np.float64]:
        """(E,) the best value of each trial up to each epoch; less is better, and infinity is none."""
        values = self.get(objective.metric)
        if objective.metric == "gap":
            values = np.maximum(values, 0.0)
        signed = np.where(np.isfinite(values), values if objective.minimize else -values, np.inf)
        begins = np.flatnonzero(np.diff(self.number, prepend=-1))
        lengths = np.diff(begins, append=len(signed))
        its_epochs = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (trials, epochs of the longest)
        table = np.full(its_epochs.shape, np.inf)
        table[its_epochs] = signed
        found: NDArray[np.float64] = np.minimum.accumulate(table, axis=1)[its_epochs]
        return found
