"""Threshold: from which probability on the positive of two classes is predicted (`[trainer] threshold`).

A score of predicted classes then goes by the threshold; one that is chosen is chosen on the rows that are
scored. A kept model has that of its validation rows in model.json, and `predict` goes by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.trainers import formulas, scores
from tuner.trainers.formulas import Weight
from tuner.trainers.scores import Score

KEY = "threshold"
"""Where it stands in model.json: ``{"class": "yes", "at": 0.31, ...}``, see `Threshold.table`."""

_OTHERWISE = "balanced_accuracy"
"""What a threshold is chosen by where the study's score does not depend on it."""

_ONE_SIDED = ("precision", "recall", "precision_macro", "recall_macro")
"""Scores that are best at the end of the scale."""

_Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """How two classes are told apart by their probabilities.

    Attributes:
        at: the least probability of the positive class; None: the best one for `by` is chosen.
        by: the name of a score, one of `CHOSEN_BY`.
        score: the study's score at a given threshold.
    """

    at: float | None
    by: str
    score: Score

    @classmethod
    def of(cls, spec: StudySpec, task: Task) -> Self | None:
        """That of a study; None where it has none."""
        given = spec.trainer.threshold
        if given is None or task is not Task.CLASSIFICATION:
            return None
        name = scores.name_of(spec, task)
        by = name if name in CHOSEN_BY else _OTHERWISE
        return cls(None if given == "auto" else given, by, scores.of(spec, task))

    def scored(self) -> Score:
        """The study's score of probabilities, by this threshold where it is one of predicted classes."""
        if not self.score.by_class:
            return self.score
        return replace(self.score, function=self._score, by_class=False)

    def found(self, truth: NDArray[Any], shares: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
        """The least probability of the positive class.

        Args:
            truth: (N,) class indices.
            shares: (N, 2) probabilities.
            data: knows the positive class.
            weight: (N,) what each row counts.
        """
        if self.at is not None or not np.isfinite(shares).all():
            return 0.5 if self.at is None else self.at
        ones = np.ones(len(truth)) if weight is None else weight.astype(np.float64)
        inside, outside = (ones * (truth == data.positive), ones * (truth != data.positive))
        told = shares[:, data.positive].astype(np.float64)
        steps = np.concatenate([np.zeros((2, 1)), formulas.steps(inside, outside, told)], axis=1)
        ends = np.concatenate([[1.0 + 1e-6], np.unique(told)[::-1], [0.0]])
        values = CHOSEN_BY[self.by](*_counted(*steps))
        between = (ends[:-1] + ends[1:]) / 2
        best = between[values >= values.max() - 1e-12]
        return float(best[np.abs(best - 0.5).argmin()])

    def table(
        self, truth: NDArray[Any], shares: NDArray[Any], data: Dataset, weight: Weight = None
    ) -> dict[str, Any]:
        """What model.json says of it, JSON-ready: the class, the threshold, the score there and at 0.5."""
        at = self.found(truth, shares, data, weight)
        told: dict[str, Any] = {"class": data.classes[data.positive], "at": at, "chosen": self.at is None}
        if self.score.by_class:
            for name, each in (("val_score", at), ("val_score_at_half", 0.5)):
                predicted = decided(shares, each, data.positive)
                told[name] = self.score.of(truth, predicted, data, weight)
        return told

    def _score(
        self, truth: NDArray[Any], shares: NDArray[Any], data: Dataset, weight: Weight = None
    ) -> float:
        at = self.found(truth, shares, data, weight)
        return self.score.of(truth, decided(shares, at, data.positive), data, weight)


def score_of(spec: StudySpec, task: Task) -> Score:
    """The score of a study as its trainer measures it.

    Raises:
        PluginError: see `scores.find`.
    """
    threshold = Threshold.of(spec, task)
    return scores.of(spec, task) if threshold is None else threshold.scored()


def decided(shares: NDArray[Any], at: float, positive: int) -> NDArray[np.int64]:
    """The predicted classes, (N,), of probabilities (N, 2)."""
    return np.where(shares[:, positive] >= at, positive, 1 - positive).astype(np.int64)


def predicted(shares: NDArray[Any], description: Mapping[str, Any]) -> NDArray[np.int64]:
    """The classes that a kept model predicts, (N,), by the threshold that its description has."""
    table, classes = description[KEY], list(description["context"]["classes"])
    return decided(shares, float(table["at"]), classes.index(table["class"]))


def faults(spec: StudySpec, data: Dataset) -> Iterator[str]:
    """Why a study cannot have its threshold, ``key: what; what to do``."""
    given = spec.trainer.threshold
    if given is None:
        return
    if len(data.classes) != 2:
        found = f"{len(data.classes)} classes" if data.classes else str(data.task)
        yield f"trainer.{KEY}: is between two classes, found {found}; drop it"
    elif given == "auto" and spec.trainer.score in _ONE_SIDED:
        yield (
            f'trainer.{KEY}: "auto" would call everything one class, as {spec.trainer.score} is best there; '
            'give a number or another score, such as "f1"'
        )


def _counted(inside: _Counts, outside: _Counts) -> tuple[_Counts, _Counts, _Counts]:
    """Hits, rows and calls of the other and of the positive class at each threshold, (2, U) each.

    Args:
        inside: (U,) the positive rows at each threshold and above it; the last one all of them.
        outside: (U,) likewise the others.
    """
    called, positive, others = inside + outside, inside[-1], outside[-1]
    hits = np.stack([others - outside, inside])
    true = np.stack([np.full_like(inside, others), np.full_like(inside, positive)])
    return hits, true, np.stack([positive + others - called, called])


def _ratio(above: _Counts, below: _Counts) -> _Counts:
    return np.asarray(above / np.where(below > 0, below, 1))


def _correlation(hits: _Counts, true: _Counts, called: _Counts) -> _Counts:
    total = true.sum(axis=0)
    below = (total**2 - (called**2).sum(axis=0)) * (total**2 - (true**2).sum(axis=0))
    return _ratio(hits.sum(axis=0) * total - (true * called).sum(axis=0), np.sqrt(np.maximum(below, 0)))


CHOSEN_BY: Mapping[str, Callable[[_Counts, _Counts, _Counts], _Counts]] = {
    "accuracy": lambda hits, true, called: hits.sum(axis=0) / true.sum(axis=0),  # noqa: ARG005
    "balanced_accuracy": lambda hits, true, called: _ratio(hits, true).mean(axis=0),  # noqa: ARG005
    "f1": lambda hits, true, called: _ratio(2 * hits, true + called)[1],
    "f1_macro": lambda hits, true, called: _ratio(2 * hits, true + called).mean(axis=0),
    "mcc": _correlation,
}
"""The scores that thresholds are chosen by, (U,), from what `_counted` gives."""
