"""Job: what a trainer is given: the study, the data of each training, and what it may use.

Made by `api.session` (and by `api.probe`, on fewer rows), sent to every worker, and never changed
there. A `Member` is one training of a trial; a trial without folds and repeats is its only member.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from tuner.core.dataset import Dataset, Resampling
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.errors import DataError, first_line

SPLITS = 16
"""Splits that are kept in memory for trials that share one."""

_DRAWING = threading.Lock()
"""Held while data is divided: rows of one worker may be placed by several threads."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker may use.

    Attributes:
        devices: torch devices by name, already decided, e.g. ``("cpu",)`` or ``("cuda:0", "cuda:1")``. A
            trainer that uses one of them takes the first.
        threads: of the numerical libraries, in each process.
        world_size: how many processes train a trial together, each on one of the devices.
        rank: which of them this is; None: the worker that has them.
    """

    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1
    world_size: int = 1
    rank: int | None = None

    @property
    def device(self) -> str:
        """The first device."""
        return self.devices[0]


@dataclass(frozen=True, slots=True)
class Member(Trial):
    """One training of a trial. Its seed is its `study_seed`; its data is `Job.data_for` it.

    Attributes:
        fold: of cross-validation, from 0; None where the study has no folds.
    """

    fold: int | None = None


@dataclass(frozen=True)
class Job:
    """What a trainer needs to train a study's trials.

    Attributes:
        spec: the study.
        data: the study's own split; None where it has no `[data]`.
        rows: how many trials may train at once; a batch may hold fewer.
        resources: of the worker that the job is for.
        shared_split: so many trials in a row, by number, share a split that is drawn anew for them, as the
            repeats of a confirmation do; 0: the split is as the study says.
        most_work: trials whose steps take more than this (see `StackingTrainer`) train one at a time beside
            the others.
    """

    spec: StudySpec
    data: Dataset | None
    rows: int = 1
    resources: Resources = Resources()
    shared_split: int = 0
    most_work: float = math.inf
    _splits: OrderedDict[Hashable, Any] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to a worker: it divides the data itself."""
        return {**self.__dict__, "_splits": OrderedDict()}

    @property
    def folds(self) -> int:
        """Of cross-validation; 1: the data as it is divided already."""
        return (self.spec.data.folds if self.spec.data is not None else None) or 1

    @property
    def repeats(self) -> int:
        """How many seeds each fold is trained with."""
        return self.spec.trainer.repeats

    @property
    def reshuffles(self) -> bool:
        """Whether every training has a split of its own."""
        return self.spec.data is not None and self.spec.data.reshuffle

    def members(self, trial: Trial) -> tuple[Member, ...]:
        """The trainings of a trial, fold by fold, and in each fold repeat by repeat.

        Repeat 0 has the trial's own seed, the others have seeds derived from it; the folds of a repeat
        share one.
        """
        folds = range(self.folds) if self.folds > 1 else (None,)
        seeds = [
            trial.study_seed if repeat == 0 else derive(trial.study_seed, repeat, "repeat")
            for repeat in range(self.repeats)
        ]
        return tuple(
            Member(trial.number, trial.params, seed, trial.origin, fold) for fold in folds for seed in seeds
        )

    def data_for(self, trial: Trial) -> Dataset | None:
        """The data that a trial, or a member of it, trains on and is judged by.

        The same split is the same object, as long as it is among the last `SPLITS`.
        May be called from any thread.

        Raises:
            DataError: there is nothing to be divided, or the split cannot be trained on.
        """
        fold = trial.fold if isinstance(trial, Member) else None
        if fold is not None:
            return self._folded()[fold]
        if self.reshuffles:
            # By the member's seed, so that the repeats of a trial have splits of their own.
            return self._drawn(trial.seed("split"))
        if self.shared_split and self.data is not None and self.data.resampling is not None:
            return self._drawn(derive(self.spec.search.seed, trial.number // self.shared_split, "split"))
        return self.data

    def require_divisible(self) -> None:
        """See that the data can be divided as the study wants.

        Raises:
            DataError: it was loaded without a way to other splits.
        """
        if self.folds > 1 or self.reshuffles:
            self._resampling()

    def _folded(self) -> tuple[Dataset, ...]:
        with _DRAWING:
            if "folds" not in self._splits:
                self._splits["folds"] = self._resampling().folds(self.folds)
            found: tuple[Dataset, ...] = self._splits["folds"]
            return found

    def _drawn(self, seed: int) -> Dataset:
        with _DRAWING:
            if seed not in self._splits:
                try:
                    self._splits[seed] = self._resampling().draw(seed)
                except DataError as error:
                    raise DataError(f"its split cannot be trained on: {first_line(error)}") from error
                while len(self._splits) > SPLITS:
                    self._splits.popitem(last=False)
            self._splits.move_to_end(seed)
            found: Dataset = self._splits[seed]
            return found

    def _resampling(self) -> Resampling:
        if self.data is None or self.data.resampling is None:
            key = "data.folds" if self.folds > 1 else "data.reshuffle"
            raise DataError(f"{key}: there are no open rows to be divided; load the data with resampling")
        return self.data.resampling
