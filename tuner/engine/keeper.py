"""Keeper: which trials' models stay on disk.

Deletes folders that a worker wrote; what lies in them is not known here.
"""

from __future__ import annotations

import bisect
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tuner.core.trial import Objective, TrialRecord


class Keeper:
    """Keeps the models of the best trials, and trial 0's: the default configuration's."""

    def __init__(self, keep: int, models: Path, objective: Objective) -> None:
        """Start with no model.

        Args:
            keep: how many of the best stay.
            models: the folder in which trial 7's model is the folder ``7``.
            objective: which of two values is better. Values that stand (`Stop.conclusive`) come
                before all others; of equal ones the lower number's stays.
        """
        self._keep = keep
        self._models = models
        self._sign = 1 if objective.minimize else -1
        self._best: list[tuple[bool, float, int]] = []

    @property
    def bar(self) -> float | None:
        """The value from which on a finished trial's model stays; None while any one does."""
        if len(self._best) < self._keep:
            return None
        cut_short, value, _ = self._best[-1]
        return None if cut_short else self._sign * value

    def wants(self, number: int, value: float, *, conclusive: bool) -> bool:
        """Whether the model of a trial that ends with this value would stay, as things stand."""
        if number == 0 or len(self._best) < self._keep or self._holds(number):
            return True
        return (not conclusive, self._sign * value, number) < self._best[-1]

    def replay(self, history: Sequence[TrialRecord]) -> list[int]:
        """Take in the models of a stored study and delete what no record names.

        Returns:
            Numbers of trials whose model is not kept any longer; see `discard`.
        """
        lost = [n for record in history for n in self.admit(record)[1]]
        named = {record.number for record in history if record.model_path is not None}
        orphans = {str(record.number) for record in history} - {str(number) for number in named}
        for folder in self._models.iterdir() if self._models.is_dir() else ():
            if folder.name in orphans or folder.name.startswith(".writing-"):
                shutil.rmtree(folder, ignore_errors=True)
        return lost

    def admit(self, record: TrialRecord) -> tuple[TrialRecord, list[int]]:
        """Judge the model of a trial that is over or paused; what was said of it before is void.

        Returns:
            The record, without its `model_path` if the model does not stay, and the numbers of
            all trials whose models do not stay: nothing is deleted before `discard`.
        """
        held = self._holds(record.number)
        if held:
            self._best = [each for each in self._best if each[2] != record.number]
        if record.model_path is None:
            return record, [record.number] if held else []
        value = math.inf if record.value is None else self._sign * record.value
        bisect.insort(self._best, (not record.conclusive, value, record.number))
        lost = [number for _, _, number in self._best[self._keep :] if number != 0]
        del self._best[self._keep :]
        if record.number in lost:
            record = replace(record, model_path=None)
        return record, lost

    def _holds(self, number: int) -> bool:
        return any(number == each for _, _, each in self._best)

    def discard(self, numbers: Iterable[int]) -> None:
        """Delete models, once it is stored that they are not kept."""
        for number in numbers:
            shutil.rmtree(self._models / str(number), ignore_errors=True)
