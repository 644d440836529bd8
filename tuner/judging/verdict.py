"""Verdict: which configuration of a study to take, why, and how sure that is.

The terminal, ``--json``, the report, the dashboard and `compare` all use this one value; its words
are in `sentences`. It exists from the first value on: before a confirmation the search's best trial is the
one to take, and the sentences say what is not known yet. The default configuration, trial 0, is a candidate
like any other. No input and no output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from tuner.core.frame import Frame
from tuner.core.objectives import Constraint, Objectives
from tuner.core.trial import TrialRecord
from tuner.judging.confirmation import Confirmation
from tuner.judging.intervals import Interval
from tuner.judging.overtuning import Overtuning

DEFAULT = 0
"""The number of the default configuration's trial."""

_SAME = {"val_loss": "loss", "val_score": "score"}
"""The measure on the test that corresponds to an objective."""


class Reason(StrEnum):
    """Why a configuration is the one to take."""

    NOTHING = "no trial has a value"
    SEARCHED = "best of the search, not confirmed"
    CLEAR = "better than every other one by more than chance explains"
    MEAN = "the best mean, though others cannot be told apart from it"
    CHEAPER = "cannot be told apart from the best one, and is cheaper"
    DEFAULT = "nothing is better than the default by more than chance explains"
    ALONE = "nothing else was left to compare it with"
    SMALLEST = "the smallest that keeps every constraint"
    CLOSEST = "no candidate meets every constraint, and it comes closest"


@dataclass(frozen=True, slots=True)
class RetrainedBest:
    """The search's best trial: its value in the search and after training it again.

    Attributes:
        number: the trial.
        searched: its value in the search.
        mean: over its trainings again; None where one failed.
        is_optimistic: whether the search's value is better than that mean.
    """

    number: int
    searched: float
    mean: float | None
    is_optimistic: bool


@dataclass(frozen=True)
class Verdict:
    """Which trial of a study to take.

    Attributes:
        study: its name.
        objectives: what it searches for.
        score_falls: whether less of its score is better.
        trials: how many trials it has now, imported ones apart.
        is_running: whether a process drives it.
        best: the search's best trial; None while no trial has a value.
        taken: the trial to take, likewise.
        default: trial 0; None where it has not begun.
        searched_front: the trials that no other one dominates in the search.
        confirmation: the confirmation; None where it was not done.
        ahead: a trial that is not over and has a better value than the best one; it was left where it was,
            for the study's time was up, and what it has may only get better.
        imported: how many trials it has imported.
        knee: the trial of the searched front that is nearest to the best of all numbers at once.
    """

    study: str
    objectives: Objectives
    score_falls: bool
    trials: int
    is_running: bool
    best: TrialRecord | None
    taken: TrialRecord | None
    default: TrialRecord | None
    searched_front: tuple[int, ...] = ()
    confirmation: Confirmation | None = None
    ahead: TrialRecord | None = None
    imported: int = 0
    knee: int | None = None

    @classmethod
    def of(
        cls,
        frame: Frame,
        record: Callable[[int], TrialRecord | None],
        confirmation: Confirmation | None = None,
        *,
        score_falls: bool = False,
        is_running: bool = False,
    ) -> Self:
        """The verdict over a study as it stands.

        Args:
            frame: the study.
            record: gives a trial by its number; its parameters are not looked at.
            confirmation: see `Verdict`.
            score_falls: likewise.
            is_running: likewise.
        """
        trials, objectives = frame.trials, frame.objectives
        best, unfinished = (
            None if row is None else record(int(trials.number[row]))
            for row in (frame.best, frame.best_unfinished)
        )
        imported = int(trials.imported.sum())
        return cls(
            frame.name,
            objectives,
            score_falls,
            len(frame) - imported,
            is_running,
            best,
            best if confirmation is None else record(confirmation.choice.recommended),
            record(DEFAULT) if len(frame) else None,
            tuple(trials.number[frame.front].tolist()),
            confirmation,
            _ahead(objectives, best, unfinished),
            imported,
            frame.knee,
        )

    @property
    def metric(self) -> str:
        """The first objective's name."""
        return self.objectives.primary.metric

    @property
    def number(self) -> int | None:
        """The trial to take; None while no trial has a value."""
        if self.confirmation is not None:
            return self.confirmation.choice.recommended
        return None if self.taken is None else self.taken.number

    @cached_property
    def reason(self) -> Reason:
        """Why that one."""
        found = self.confirmation
        if found is None:
            return Reason.NOTHING if self.best is None else Reason.SEARCHED
        choice = found.choice
        if found.broken(choice.recommended):
            return Reason.CLOSEST
        if found.compressed is not None:
            return Reason.SMALLEST
        if len(self.compared) < 2:
            return Reason.ALONE
        if choice.recommended == choice.winner:
            if not self.tied:
                return Reason.CLEAR
            return Reason.DEFAULT if choice.recommended == DEFAULT else Reason.MEAN
        return Reason.DEFAULT if choice.recommended == DEFAULT else Reason.CHEAPER

    @property
    def compared(self) -> tuple[int, ...]:
        """The candidates that could be chosen: no training failed, and they keep the constraints."""
        found = self.confirmation
        return () if found is None else tuple(each.number for each in found.contenders)

    @property
    def tied(self) -> tuple[int, ...]:
        """Other candidates that cannot be told apart from the one with the best mean, that one included."""
        found = self.confirmation
        return () if found is None else tuple(n for n in found.choice.tied if n != found.choice.recommended)

    @property
    def value(self) -> float | None:
        """The trial to take's objective: the mean over its trainings again, else the search's value."""
        if self.confirmation is not None:
            return self.confirmation.confirmed.estimate
        return None if self.best is None else self.best.value

    @property
    def interval(self) -> Interval | None:
        """The 95 % confidence interval of that mean; None without a confirmation."""
        return None if self.confirmation is None else self.confirmation.confirmed

    @property
    def retrained_best(self) -> RetrainedBest | None:
        """The search's best trial, trained again; None for the default, and without a confirmation."""
        found = self.confirmation
        best = None if found is None else found.searched_best
        if found is None or best is None or best.searched is None or best.number == DEFAULT:
            return None
        better = best.mean is not None and self.objectives.primary.better(best.searched, best.mean)
        return RetrainedBest(best.number, best.searched, best.mean, better)

    @property
    def front(self) -> tuple[int, ...]:
        """The trials that no other one dominates: by their means, where they were trained again."""
        found = self.confirmation
        return self.searched_front if found is None or found.objectives is None else found.front

    @property
    def broken(self) -> tuple[tuple[Constraint, float], ...]:
        """The constraints that the trial to take does not keep, and the numbers that it has instead."""
        if self.confirmation is not None:
            return self.confirmation.broken(self.confirmation.choice.recommended)
        return self.broken_by(self.best)

    def broken_by(self, record: TrialRecord | None) -> tuple[tuple[Constraint, float], ...]:
        """The constraints that a trial does not keep in the search, and the numbers that it has instead."""
        if record is None or record.best is None:
            return ()
        return self.objectives.broken_by(record.best.get)

    @property
    def kept_gain(self) -> tuple[float, float] | None:
        """How much better than the default the trial to take is: in the search, and on the test rows.

        Only where both measure the same, the loss or the score, and the search found it better.
        """
        found = self.confirmation
        if found is None or found.test is None or found.metric not in _SAME:
            return None
        test = found.test
        gain = test.loss_gain if _SAME[found.metric] == "loss" else test.score_gain
        mine, default = found.candidate(found.choice.recommended), found.candidate(DEFAULT)
        if gain is None or mine.searched is None or default.searched is None:
            return None
        searched = (default.searched - mine.searched) * (1 if self.objectives.primary.minimize else -1)
        return (searched, gain.estimate) if searched > 0 else None

    @property
    def overtuning(self) -> Overtuning | None:
        """How far the search followed its validation rows; None where the test measures something else."""
        found = self.confirmation
        if found is None or found.overtuning is None or found.metric not in _SAME:
            return None
        return found.overtuning if len(found.overtuning.path) > 1 else None

    @property
    def model_path(self) -> str | None:
        """The model of the configuration to take; None where none was kept."""
        if self.confirmation is not None and self.confirmation.model_path is not None:
            return self.confirmation.model_path
        return None if self.taken is None else self.taken.model_path

    def to_table(self) -> Mapping[str, Any]:
        """As JSON has it, without its words."""
        retrained, found, interval = self.retrained_best, self.confirmation, self.interval
        best = None if self.best is None else {"trial": self.best.number, "value": self.best.value}
        if best is not None and retrained is not None and retrained.number == best["trial"]:
            best["again"] = retrained.mean
        return {
            "take": self.number,
            "confirmed": found is not None,
            "reason": self.reason.name.lower(),
            "value": self.value,
            "interval": None if interval is None else [interval.low, interval.high],
            "tied": list(self.tied),
            "search_best": best,
            "front": list(self.front),
            "knee": self.knee if self.front == self.searched_front else None,
            "broken": [
                {"constraint": bound.key, "limit": bound.limit, "value": x} for bound, x in self.broken
            ],
            "model_path": self.model_path,
        }


def _ahead(
    objectives: Objectives, best: TrialRecord | None, unfinished: TrialRecord | None
) -> TrialRecord | None:
    """The best of the trials that are not over, if its value is better than that of the best one."""
    if best is None or best.value is None or unfinished is None or unfinished.value is None:
        return None
    if objectives.violation(unfinished.best) > objectives.violation(best.best):
        return None
    return unfinished if objectives.primary.better(unfinished.value, best.value) else None
