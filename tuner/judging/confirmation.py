"""Confirmation: the result of training a study's best trials again and of its test.

Plain values, to and from a table that JSON can hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from tuner.core import words
from tuner.core.baseline import Contest
from tuner.core.markup import element, snippet, table
from tuner.core.objectives import Constraint, Objectives, layers
from tuner.core.trial import Objective
from tuner.judging.choosing import Candidate, Selection
from tuner.judging.compressed import Compressed
from tuner.judging.intervals import Interval
from tuner.judging.noise import spread_of
from tuner.judging.overtuning import Overtuning

_EARLIER = {"goals": "objectives", "naive": "search_value", "openings": "locked_reads"}
"""Names under which earlier versions stored fields of a `Confirmation`."""


@dataclass(frozen=True, slots=True)
class LockedRead:
    """One read of the locked test split.

    Attributes:
        at: UTC, ISO 8601.
        command: as it would read in a terminal.
        host: the machine.
    """

    at: str
    command: str
    host: str


@dataclass(frozen=True, slots=True)
class ByThreshold:
    """From which probability on a class is predicted, and what that changed; see `trainers.threshold`.

    Attributes:
        positive: the class.
        at: the threshold of each model.
        is_chosen: whether it was chosen on validation rows.
        validation: the mean score of the models on the rows that it was chosen on; None where no score goes
            by a threshold.
        validation_at_half: likewise where the threshold is 0.5.
        score_at_half: likewise on the test rows.
    """

    positive: str
    at: tuple[float, ...]
    is_chosen: bool
    validation: float | None = None
    validation_at_half: float | None = None
    score_at_half: float | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """The test: models of the recommended configuration and of the default one on unseen rows.

    Attributes:
        rows: how many test rows there are.
        loss: of the recommended configuration.
        score: likewise.
        default_loss: of the default configuration; None where not all its repeats have a model.
        default_score: likewise.
        loss_gain: by how much the recommended one is better than the default; None where it is the default.
        score_gain: likewise.
        calibration: the `calibration_error` of the mean that is kept, or the models' mean one; None without
            probabilities.
        threshold: None where the more probable class is predicted.
        kept_loss: of the mean of the recommended configuration's models; None where one of them is kept.
        kept_score: likewise.
    """

    rows: int
    loss: Interval
    score: Interval
    default_loss: Interval | None = None
    default_score: Interval | None = None
    loss_gain: Interval | None = None
    score_gain: Interval | None = None
    calibration: float | None = None
    threshold: ByThreshold | None = None
    kept_loss: Interval | None = None
    kept_score: Interval | None = None

    @property
    def of_kept(self) -> tuple[Interval, Interval]:
        """The loss and the score of what is kept: of the mean, or what may be expected of a single model."""
        return self.kept_loss or self.loss, self.kept_score or self.score


@dataclass(frozen=True, slots=True)
class TestedBaseline:
    """A baseline on the same test rows, trained on what the repeats were trained on.

    Attributes:
        kind: see `core.baseline.Baseline`.
        says: likewise.
        trainings: how many models there are: one for each repeat; 1 where all share their rows, and of
            what takes long, trained on the study's own training rows.
        loss: None where it has none that is comparable.
        score: likewise.
        loss_gain: by how much what is kept of the recommended configuration is better than it.
        score_gain: likewise.
        left_out: why it could not be trained, in words.
    """

    kind: str
    says: str
    trainings: int = 0
    loss: Interval | None = None
    score: Interval | None = None
    loss_gain: Interval | None = None
    score_gain: Interval | None = None
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All that was found.

    Attributes:
        study: the study.
        confirmed_by: the name under which the repeats are stored.
        metric: what is searched for.
        minimize: whether less of it is better.
        score: the name of the score.
        score_falls: whether less of the score is better.
        trials: how many trials the study had then, imported ones included.
        train_rows: how many rows each repeat trained on; 0 where the study has no `[data]`.
        validation_rows: how many rows judged it.
        redrawn: whether each repeat drew these rows anew; otherwise only the seeds differ.
        candidates: those that were trained again, the best of the search first, the default last.
        choice: the best one and the recommended one.
        params: the recommended trial's configuration.
        search_value: the best value among the candidates in the search.
        confirmed: the recommended configuration's value over the repeats.
        locked_reads: every time the test was read, this one last; none where there was nothing to read.
        test: None where there was no test.
        untested: why there was none, in words.
        overtuning: None likewise, or where the models on the way were not kept.
        model_path: the recommended model; None where none was kept.
        objectives: what the study searched for; None where an earlier version confirmed it, which went by the
            first objective alone.
        best: the search's best trial then; None likewise.
        baselines: something simple on the same test rows; none where there was no test, or none was wanted.
        averaged: of how many models the recommended model is the mean; 0: it is a single one.
        compressed: the kept model beside the one that it was made from; None where it was made of none.
    """

    study: str
    confirmed_by: str
    metric: str
    minimize: bool
    score: str
    score_falls: bool
    trials: int
    train_rows: int
    validation_rows: int
    redrawn: bool
    candidates: tuple[Candidate, ...]
    choice: Selection
    params: Mapping[str, float | int | str | bool]
    search_value: float
    confirmed: Interval
    locked_reads: tuple[LockedRead, ...] = ()
    test: Tested | None = None
    untested: str | None = None
    overtuning: Overtuning | None = None
    model_path: str | None = None
    objectives: Objectives | None = None
    best: int | None = None
    baselines: tuple[TestedBaseline, ...] = ()
    averaged: int = 0
    compressed: Compressed | None = None

    @property
    def repeats(self) -> int:
        """How often each candidate was trained."""
        return len(self.candidates[0].values)

    @property
    def searched_best(self) -> Candidate | None:
        """The search's best trial, as it was trained again."""
        if self.best is not None:
            return next((each for each in self.candidates if each.number == self.best), None)
        return next((each for each in self.candidates if each.searched == self.search_value), None)

    @property
    def spread(self) -> float | None:
        """How far a configuration's value differs from training to training; see `spread_of`."""
        return spread_of([each.values for each in self.candidates])

    @property
    def contenders(self) -> tuple[Candidate, ...]:
        """The candidates that could be chosen, see `contenders`."""
        return contenders(self.candidates, self._objectives)

    @property
    def front(self) -> tuple[int, ...]:
        """The contenders that no other one beats in every objective, by their means; the best first."""
        objectives, rivals = self._objectives, self.contenders
        if len(objectives) == 1:
            return (self.choice.recommended,)
        losses = np.array([[_loss(each, one, objectives) for one in objectives] for each in rivals])
        on_it = [i for i, layer in enumerate(layers(losses, 1)) if layer == 0]
        return tuple(rivals[i].number for i in sorted(on_it, key=lambda i: tuple(losses[i])))

    @property
    def contests(self) -> tuple[Contest, ...]:
        """What is kept of the recommended configuration beside each baseline on the test rows."""
        if self.test is None:
            return ()
        found, (loss, score) = [], self.test.of_kept
        for each in self.baselines:
            pairs = (
                ("loss", loss, each.loss, each.loss_gain, True),
                (self.score, score, each.score, each.score_gain, self.score_falls),
            )
            known = [(n, mine, its, gain, falls) for n, mine, its, gain, falls in pairs if its and gain]
            for name, mine, its, gain, falls in known:
                is_first = len(known) == 1 or (name == "loss") is (self.metric == "val_loss")
                numbers = (mine.estimate, its.estimate, gain.low, gain.high)
                found.append(Contest(each.kind, name, *numbers, is_first, falls))
        return tuple(found)

    def broken(self, number: int) -> tuple[tuple[Constraint, float], ...]:
        """The constraints that a candidate does not keep by its means, and those means."""
        objectives = self._objectives
        return objectives.broken_by(partial(_mean, self.candidate(number), objectives))

    @property
    def _objectives(self) -> Objectives:
        return self.objectives or Objectives((Objective(self.metric, self.minimize),))

    def candidate(self, number: int) -> Candidate:
        """The candidate that was this trial."""
        return next(each for each in self.candidates if each.number == number)

    def _repr_html_(self) -> str:
        rows = [
            (
                f"trial {each.number}" if each.number else "the default",
                words.number(each.searched),
                words.number(each.mean),
            )
            for each in self.candidates
        ]
        chosen = [each.number for each in self.candidates].index(self.choice.recommended)
        name = f"trial {self.choice.recommended}" if self.choice.recommended else "the default configuration"
        if self.test is None:
            tested = f"No test: {self.untested}."
        else:
            loss, score = (words.number(each.estimate) for each in self.test.of_kept)
            tested = f"On {self.test.rows} locked test rows: loss {loss}, {self.score} {score}."
        metric = words.metric(self.metric)
        head = ("trained again", f"{metric} in the search", f"mean of {self.repeats} trainings")
        return snippet(
            element("p", element("b", self.study), f": {name} is recommended."),
            table(head, rows, chosen),
            element("p", tested),
        )

    def to_table(self) -> dict[str, Any]:
        """As JSON has it."""
        table: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Confirmation:
        """What `to_table` wrote, in this version or an earlier one."""
        return _ADAPTER.validate_python({_EARLIER.get(key, key): value for key, value in table.items()})


def contenders(candidates: Sequence[Candidate], objectives: Objectives) -> tuple[Candidate, ...]:
    """The candidates that may be chosen: no training failed, and their means keep every constraint.

    Where none keeps them, the one that comes closest.
    """
    whole = [each for each in candidates if each.mean is not None]
    violations = [objectives.violation_by(partial(_mean, each, objectives)) for each in whole]
    kept = tuple(each for each, violation in zip(whole, violations, strict=True) if not violation)
    return kept or tuple(whole[i] for i in sorted(range(len(whole)), key=lambda i: violations[i])[:1])


def _mean(candidate: Candidate, objectives: Objectives, name: str) -> float:
    found = candidate.mean if name == objectives.primary.metric else candidate.measured.get(name)
    return math.nan if found is None else found


def _loss(candidate: Candidate, objective: Objective, objectives: Objectives) -> float:
    value = _mean(candidate, objectives, objective.metric)
    return math.inf if math.isnan(value) else value if objective.minimize else -value


_ADAPTER: TypeAdapter[Confirmation] = TypeAdapter(Confirmation)
