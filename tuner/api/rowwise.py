"""Rowwise: the noise of confirmed candidates, estimated from each validation row's loss.

The values of repeats show how much seeds and splits matter, but where all repeats share one split they
cannot show the luck of its rows, and with fresh splits they only bound it. So the models of
the repeats predict once more, row by row. Called by `confirming` before the test is opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.api.repeats import Repeats
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.data.resampling import EvaluationRows, SearchRows
from tuner.errors import TrialError, TunerError
from tuner.judging.choosing import Candidate
from tuner.judging.intervals import ANY
from tuner.judging.measures import MEASURES, SCALES, Measure, measured, of_losses, of_score
from tuner.judging.noise import Noise, of_rows
from tuner.trainers import load_model, scores
from tuner.trainers.model import Model

_CLOSE = 1e-3
"""Relative tolerance between a value and the recorded one; library versions round differently."""


def row_noise(
    again: Repeats, candidates: Sequence[Candidate], models: Mapping[int, Mapping[int, Path]]
) -> Noise | None:
    """The noise of candidates that are compared, in their order.

    Args:
        again: how they were trained.
        candidates: those with a value for every repeat.
        models: the repeats' models, by trial and repeat.

    Returns:
        None where the value is not a mean over rows: it is neither the validation loss nor a score that can
        be measured, a model is missing or cannot predict by itself, or it gives another value than was
        recorded.
    """
    data = again.planned.data
    rows, positive = (data.resampling, data.positive_class) if data is not None else (None, None)
    spec, metric = again.spec, again.spec.primary_objective().metric
    if not isinstance(rows, SearchRows) or metric not in ("val_loss", "val_score"):
        return None
    several = rows.task is Task.MULTILABEL
    if metric == "val_score" and (several or scores.name_of(spec, rows.task) not in MEASURES):
        return None
    moved, ids = [], []
    try:
        for repeat in range(again.count):
            judging = rows.evaluation_rows(derive(again.spec.search.seed, repeat, "split"))
            its = [_measure(models[c.number].get(repeat), judging, spec, positive) for c in candidates]
            found = [each for each in its if each is not None]
            told = [candidate.values[repeat] or 0.0 for candidate in candidates]
            if len(found) < len(candidates) or not all(map(_agree, found, told)):
                return None
            moved.append(np.stack([each.influences[0] for each in found]))  # (C, n)
            ids.append(judging.ids)
    except TunerError:
        return None
    values = np.array([each.values for each in candidates], np.float64)
    return of_rows(values, moved, ids)


def _measure(
    path: Path | None, rows: EvaluationRows, spec: StudySpec, positive: str | None
) -> Measure | None:
    model = load_model(path) if path is not None else None
    if model is None or not model.predicts:
        return None
    if spec.primary_objective().metric == "val_loss":
        return of_losses([model.losses(rows.x, rows.y)]).weighed(rows.weight)
    return score_of(spec, [model], rows.x, rows.y, positive, rows.weight)


def score_of(
    spec: StudySpec,
    models: Sequence[Model],
    x: Any,
    truth: NDArray[Any],
    positive: str | None,
    weight: NDArray[Any] | None = None,
) -> Measure:
    """A study's score of several models on the same rows.

    Args:
        spec: the study.
        models: those that can predict by themselves.
        x: raw rows.
        truth: (N,) names of classes, or (N,) or (N, T) targets in their own units.
        positive: see `measured`.
        weight: (N,) what each row counts; None: all the same. A score of one's own is not told.

    Raises:
        TrialError: the score needs probabilities, and a model has none.
    """
    context = models[0].description["context"]
    task = Task(context["task"])
    name = scores.name_of(spec, task)
    if task is Task.MULTILABEL:
        return _of_labels(spec, models, x, truth, weight)
    if name in MEASURES:
        told = [model.predict(x) for model in models]
        return measured(name, truth, told, positive, spec.trainer.quantile).weighed(weight)
    score, scale = scores.of(spec, task), SCALES.get(name, ANY)
    if task is not Task.CLASSIFICATION:
        return of_score(score, truth, [model.predict(x) for model in models])
    classes = tuple(context["classes"])
    places = {each: place for place, each in enumerate(classes)}
    y = np.array([places.get(each, -1) for each in truth])
    # Nothing can be said of the probability of a class that no model has met.
    known = y >= 0
    none = Split(np.zeros((0, 1), np.float32), y[:0])
    data = Dataset(none, none, task, classes, places.get(positive, 1))
    return of_score(
        lambda y, shares, weight=None: score.of(y, shares, data, weight),
        y[known],
        [_probabilities(model, x)[known] for model in models],
        scale,
        None if weight is None else weight[known],
    )


def _of_labels(
    spec: StudySpec, models: Sequence[Model], x: Any, truth: NDArray[Any], weight: NDArray[Any] | None
) -> Measure:
    """A score of several labels, (N, L); a mean over them has no sums over rows."""
    labels: dict[str, tuple[str, str]] = models[0].description["labels"]
    score, ones = scores.of(spec, Task.MULTILABEL), [pair[1] for pair in labels.values()]
    y = (truth == ones).astype(np.float32)
    none = Split(np.zeros((0, 1), np.float32), y[:0])
    data = Dataset(none, none, Task.MULTILABEL, labels=labels)
    told = [
        (model.predict(x) == ones).astype(np.int64) if score.by_class else _probabilities(model, x)
        for model in models
    ]
    return of_score(
        lambda y, shares, weight=None: score.of(y, shares, data, weight),
        y,
        told,
        SCALES.get(scores.name_of(spec, Task.MULTILABEL), ANY),
        weight,
    )


def _probabilities(model: Model, x: Any) -> NDArray[Any]:
    found: Callable[[Any], NDArray[Any]] | None = getattr(model, "probabilities", None)
    if found is None:
        raise TrialError(f"{type(model).__name__} has no probabilities; give another [trainer] score")
    return found(x)


def _agree(found: Measure, told: float) -> bool:
    return math.isclose(float(found.values[0]), told, rel_tol=_CLOSE, abs_tol=1e-6)
