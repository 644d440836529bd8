"""Baselines: scikit-learn's dummy, linear model and boosted trees, fitted on what a study's trials train on.

Runs in the process of `baseline_serving` alone: scikit-learn's ensembles take a second or two to import.
All of it is deterministic: the same data give the same numbers, whatever a study does meanwhile.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.core.dataset import Dataset, TargetUnits, Task
from tuner.core.job import Job, Member
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.data import Scaling, flat, width
from tuner.errors import first_line
from tuner.trainers import threshold
from tuner.trainers.baseline import blank
from tuner.trainers.baseline_messages import Answers
from tuner.trainers.model import indices
from tuner.trainers.plain_losses import TASKS, of_difference
from tuner.trainers.row_weights import row_weights
from tuner.trainers.sklearn.estimators import estimator_class, for_task, reference
from tuner.trainers.sklearn.measures import probabilities
from tuner.trainers.sklearn.model import SklearnModel, preparation

LINEAR_STEPS = 1e11
"""Multiplications of a linear model, about a minute of one core; with more of them it is left out."""

QUICK_STEPS = 2e9
"""With no more of them, a second of one core, it is trained for every repeat of a confirmation."""

TREE_CELLS = 1e10
"""Cells that boosted trees look at, likewise."""

QUICK_CELLS = 1e8
"""With no more of them, half a second of one core, they are trained for every repeat of a confirmation."""

_FEWEST_ROWS = 10_000
"""Small tables cost a tree as much as one of so many rows: it has its histograms to fill."""

_TREES = 100

_BINS = 255
"""The most that scikit-learn's histograms have."""

_GROUPS = 20
"""Groups of rows that are left out in turn, to see how far a score depends on its rows."""

_EPSILON = float(np.finfo(np.float32).eps)
"""The least probability, as of a network; see `trainers.Model.losses`."""


def splits(job: Job, repeats: int) -> Iterator[Dataset]:
    """What trials train on: the study's split or its folds, or the splits of a confirmation's repeats.

    Where every trial has a split of its own, it is the study's own.
    """
    if job.data is None:
        return
    if repeats:
        for repeat in range(repeats):
            yield job.data_for(Trial(repeat * job.shared_split, {}, 0)) or job.data
    elif job.folds > 1:
        for fold in range(job.folds):
            yield job.data_for(Member(0, {}, 0, fold=fold)) or job.data
    else:
        yield job.data


def is_quick(kind: str, data: Dataset) -> bool:
    """Whether it is trained for every repeat of a confirmation; else once, on the study's own rows."""
    # Of so many rows the splits alone take long, so a constant prediction follows the linear model.
    return _cells(data) <= QUICK_CELLS if kind == "boosted_trees" else _steps(data) <= QUICK_STEPS


def refusal(kind: str, data: Dataset) -> str | None:
    """Why a baseline is not trained, in words."""
    rows, inputs = len(data.train), width(data.inputs)
    size = f"{words.count(rows, 'row')} of {words.count(inputs, 'input')}"
    if kind == "boosted_trees" and _cells(data) > TREE_CELLS:
        return f"{size} and {words.count(data.outputs, 'output')} would take them minutes"
    if kind == "linear" and _steps(data) > LINEAR_STEPS:
        return f"{size} would take it minutes"
    return None


def fit(kind: str, spec: StudySpec, data: Dataset) -> SklearnModel:
    """A baseline, fitted on the training split.

    Raises:
        Exception: whatever scikit-learn raises where it cannot be.
    """
    scaling = Scaling.of("standard" if kind == "linear" else "none", data)
    x = flat(scaling, data.train.x, data.vocabulary)
    estimator = _estimator(kind, data, x, derive(spec.search.seed, -1, "baselines"))
    weights = row_weights(data, spec.trainer.class_weight)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A fit that has not converged is as good a baseline.
        warnings.simplefilter("ignore")
        estimator.fit(x, data.train.y, sample_weight=weights)
    return SklearnModel(preparation(estimator, scaling, data, spec), estimator)


def judged(kind: str, spec: StudySpec, parts: Sequence[tuple[SklearnModel, Dataset]]) -> Baseline:
    """A baseline's loss and score on the validation rows, and their errors; of folds the means."""
    found = np.array([_measured(model, spec, data) for model, data in parts])  # (folds, 4)
    loss, score = found[:, :2].mean(axis=0).tolist()
    errors = (np.sqrt((found[:, 2:] ** 2).sum(axis=0)) / len(found)).tolist()
    rows = sum(len(data.validation) for _, data in parts)
    told = blank(kind, spec, parts[0][1])
    loss_error, score_error = (each if math.isfinite(each) else math.nan for each in errors)
    return replace(
        told, val_loss=loss, val_score=score, rows=rows, loss_error=loss_error, score_error=score_error
    )


def attempt(kind: str, spec: StudySpec, data: Sequence[Dataset]) -> tuple[list[SklearnModel], str | None]:
    """One model for each dataset, or why there are none."""
    models = []
    for each in data:
        if (why := refusal(kind, each)) is not None:
            return [], why
        try:
            models.append(fit(kind, spec, each))
        except MemoryError:
            return [], "there was not enough memory"
        except Exception as error:  # noqa: BLE001 - what a baseline cannot do is no fault of the study
            return [], f"scikit-learn says: {first_line(error)}"
    return models, None


def answers(model: SklearnModel, spec: StudySpec, x: Any, truth: NDArray[Any]) -> Answers:
    """What a model says of raw rows.

    Args:
        model: one that `fit` gave.
        spec: says which loss.
        x: raw rows.
        truth: (n,) names of classes, (n, L) of several labels, or (n,) or (n, T) targets in their own units.
    """
    predicted, context = model.predict(x), model.description["context"]
    if context["task"] == Task.REGRESSION:
        units = TargetUnits.from_table(model.description["target"], np.float64)
        y, said = (units.standardized(values) for values in (truth, predicted))
        losses = of_difference(spec.trainer.loss, np.abs(said.reshape(y.shape) - y, dtype=np.float64))
        return Answers(losses, predicted, None, model.description)
    shares = model.probabilities(x)
    losses = _of_shares(spec, shares, indices(truth, model.description))
    return Answers(losses, predicted, shares, model.description)


def _estimator(kind: str, data: Dataset, x: NDArray[np.float32], seed: int) -> Any:
    is_classes = data.task.is_of_classes
    if kind == "constant":
        from sklearn.dummy import DummyClassifier, DummyRegressor

        return DummyClassifier(strategy="prior") if is_classes else DummyRegressor()
    if kind == "linear":
        from sklearn.linear_model import LogisticRegression, Ridge

        return for_task(LogisticRegression(max_iter=1000), data.task) if is_classes else Ridge()
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    # The trees are the same with no more bins than a column has values, and grown in less time.
    most = max((len(np.unique(column)) for column in x.T), default=0) if len(x) <= _FEWEST_ROWS else _BINS
    settings = {"random_state": seed, "max_bins": min(max(most, 2), _BINS)}
    if is_classes:
        return for_task(HistGradientBoostingClassifier(**settings), data.task)
    trees = HistGradientBoostingRegressor(**settings)
    return trees if data.train.y.ndim == 1 else MultiOutputRegressor(trees)


def _measured(model: SklearnModel, spec: StudySpec, data: Dataset) -> tuple[float, float, float, float]:
    """The loss and the score of the validation split, and the standard error of each."""
    scaling = Scaling.from_table(model.description["scaling"])
    x, y = flat(scaling, data.validation.x, data.vocabulary), data.validation.y
    score = threshold.score_of(spec, data.task)
    said = np.asarray(model.module.predict(x))
    if data.task.is_of_classes:
        shares = probabilities(model.module, x, len(data.classes))
        losses = _of_shares(spec, shares, y)
        said = shares if score.takes_probabilities(data.task) else said.astype(np.int64)
    else:
        said = said.reshape(y.shape)
        losses = of_difference(spec.trainer.loss, np.abs(said - y, dtype=np.float64))
    given = data.validation.weight
    weight = np.ones(len(y)) if given is None else given
    loss = float(np.average(losses, weights=weight))

    def scored(rows: NDArray[np.bool_]) -> float:
        try:
            return score.of(y[rows], said[rows], data, given if given is None else given[rows])
        except Exception:  # noqa: BLE001 - a function of one's own need not take what no network says
            return math.nan

    # The delete-a-group jackknife, as it serves any score.
    group = np.arange(len(y)) % _GROUPS
    without = np.array([scored(group != each) for each in range(_GROUPS)])
    score_error = math.sqrt((_GROUPS - 1) * without.var())
    loss_error = float(np.sqrt((weight**2 * (losses - loss) ** 2).sum()) / weight.sum())
    return loss, scored(np.ones(len(y), np.bool_)), loss_error, score_error


def _of_shares(spec: StudySpec, shares: NDArray[np.float32], y: NDArray[Any]) -> NDArray[np.float64]:
    """The loss of each row, (n,), of probabilities (n, C) or (n, L); a class of -1 was never met."""
    loss, rows = spec.trainer.loss, np.arange(len(y))
    if (loss is not None and loss not in TASKS) or not _tells_shares(spec):
        return np.full(len(y), math.nan)
    clipped = np.clip(shares.astype(np.float64), _EPSILON, 1 - _EPSILON)
    if y.ndim == 2:
        return np.asarray(-np.log(np.where(y == 1, clipped, 1 - clipped)).mean(axis=1))
    own = np.where(y >= 0, clipped[rows, np.maximum(y, 0)], _EPSILON)
    if loss == "binary_cross_entropy" and shares.shape[1] > 2:
        others = np.log(1 - clipped)
        mine = np.where(y >= 0, others[rows, np.maximum(y, 0)], 0.0)
        return np.asarray(-(np.log(own) + others.sum(axis=1) - mine) / shares.shape[1])
    return np.asarray(-np.log(own))


def _tells_shares(spec: StudySpec) -> bool:
    """Whether the trials' loss is one of probabilities; an estimator without any has a share of errors."""
    if spec.trainer.use != "sklearn":
        return True
    found = estimator_class(reference(spec.trainer.model, Task.CLASSIFICATION))
    return hasattr(found(**spec.trainer.settings), "predict_proba")


def _steps(data: Dataset) -> float:
    """Of a linear model: a hundred passes over the rows, or a matrix of squares."""
    inputs = float(width(data.inputs))
    per_input = 100 * data.outputs if data.task.is_of_classes else inputs
    return len(data.train) * inputs * per_input


def _cells(data: Dataset) -> float:
    outputs = 1 if len(data.classes) == 2 else data.outputs
    return float(_TREES * outputs * width(data.inputs) * (len(data.train) + _FEWEST_ROWS))
