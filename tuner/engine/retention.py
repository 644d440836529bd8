"""ModelRetention: which trials' models stay on disk."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

import numpy as np

from tuner.artifacts import Artifacts
from tuner.core.incumbents import Incumbents, incumbents
from tuner.core.objectives import Key, Objectives, layers
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.errors import StoreError


class ModelRetention:
    """Keeps the models of the best trials, and trial 0's: the default configuration's.

    With several objectives the best are those that no other one dominates, sorted by the first
    objective, then those that only they dominate, and so on. The models of trials that were the
    best so far when they ended stay too: what the test says of them shows how the search over-fits.
    """

    def __init__(self, keep: int, artifacts: Artifacts, objective: Objective | Objectives) -> None:
        """Start with no model.

        Args:
            keep: how many of the best stay.
            artifacts: the study's files.
            objective: which trial is better, see `Objectives.key`; of equal ones the lower number's stays.
        """
        self._keep = keep
        self._artifacts = artifacts
        self._objectives = Objectives.of(objective)
        self._path = Incumbents(self._objectives)
        self._best: list[Key] = []
        """The best first; trial 0 stands behind the others if it is not one of them."""
        self._named: set[int] = set()
        """Trials whose records name a model."""

    @property
    def bar(self) -> float | None:
        """The value from which on a finished trial's model stays; None while any model may.

        None, too, where a value alone does not say which of two trials is better.
        """
        if len(self._best) < self._keep or not self._objectives.is_plain:
            return None
        _, cut_short, _, (loss,), _ = self._best[self._keep - 1]
        return None if cut_short else loss if self._objectives.primary.minimize else -loss

    def wants(self, number: int, value: float, best: Reading | None = None, *, conclusive: bool) -> bool:
        """Whether the model of a trial that ends with this value would stay, as things stand.

        Args:
            number: the trial's.
            value: its best epoch's metric; `nan` for none.
            best: that epoch.
            conclusive: see `Stop.conclusive`.
        """
        if number == 0 or self._holds(number):
            return True
        known = None if math.isnan(value) else value
        record = TrialRecord(number, {}, TrialState.STOPPED, known, best, conclusive=conclusive)
        ranked = self._ranked([*self._best, self._objectives.key(record)])
        return any(number == key[-1] for key in ranked[: self._keep])

    def replay(self, history: Sequence[TrialRecord]) -> list[int]:
        """Take in the models of a stored study and delete what no record names.

        Returns:
            Numbers of trials whose model is not kept any longer; see `discard`.
        """
        self._path = incumbents(history, self._objectives)
        kept = [record for record in history if record.model_path is not None]
        lost = [n for record in kept for n in self.admit(record)[1]]
        self._artifacts.sweep()
        self._tidy({record.number for record in kept})
        return lost

    def admit(self, record: TrialRecord) -> tuple[TrialRecord, list[int]]:
        """Judge the model of a trial that is over or paused; what was said of it before is void.

        Returns:
            The record, without its `model_path` if the model does not stay, and the numbers of
            all trials whose models do not stay: nothing is deleted before `discard`.
        """
        self._path.add(record)
        held = self._holds(record.number)
        if held:
            self._best = [key for key in self._best if key[-1] != record.number]
        if record.model_path is None:
            self._named.discard(record.number)
            return record, [record.number] if held else []
        ranked = self._ranked([*self._best, self._objectives.key(record)])
        self._best = ranked[: self._keep] + [key for key in ranked[self._keep :] if key[-1] == 0]
        lost = [n for each in ranked[self._keep :] if (n := each[-1]) not in (0, *self._path.numbers)]
        self._named = (self._named | {record.number}) - set(lost)
        if record.number in lost:
            record = replace(record, model_path=None)
        return record, lost

    def _ranked(self, keys: Sequence[Key]) -> list[Key]:
        """The best first."""
        ranked = sorted(keys)
        if len(self._objectives) == 1:
            return ranked
        found: list[Key] = []
        for _, alike in groupby(ranked, lambda key: key[:3]):
            kind = list(alike)
            found += [
                key for _, key in sorted(zip(layers(np.array([k[3] for k in kind])), kind, strict=True))
            ]
        return found

    def _holds(self, number: int) -> bool:
        return any(number == key[-1] for key in self._best)

    def discard(self, numbers: Iterable[int], training: Collection[int] = ()) -> None:
        """Delete models, once it is stored that they are not kept.

        Args:
            numbers: trials whose models were given up. One that has been written since is left.
            training: trials that may be writing another one now; theirs are left, too.
        """
        for number in set(numbers) - self._named - set(training):
            self._artifacts.delete(number)

    def tidy(self) -> None:
        """Delete every model that no record names; none may be being written."""
        self._tidy(self._named)

    def _tidy(self, named: set[int]) -> None:
        with suppress(StoreError):  # what cannot be reached now is removed by the next run
            for number in self._artifacts.models() - named:
                self._artifacts.delete(number)
