"""What the probabilities of models are worth on the locked rows: their calibration, and their threshold.

Called by `confirming` once the test is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Task
from tuner.core.spec import StudySpec
from tuner.errors import TrialError
from tuner.judging.confirmation import ByThreshold
from tuner.judging.measures import MEASURES, calibration_error, measured
from tuner.trainers import scores
from tuner.trainers.model import Model
from tuner.trainers.threshold import KEY, decided

_Shares = tuple[list[str], NDArray[Any]]
"""The classes and the probabilities, (N, C), of one model."""


def shares_of(models: Sequence[Model], x: Any) -> list[_Shares] | None:
    """The probabilities of the same rows by each model; None where one has none."""
    found: list[_Shares] = []
    for model in models:
        context = model.description.get("context", {})
        told = getattr(model, "probabilities", None)
        if context.get("task") != Task.CLASSIFICATION or told is None:
            return None
        try:
            found.append((list(context["classes"]), told(x)))
        except TrialError:  # an estimator without them
            return None
    return found


def calibration(shares: Sequence[_Shares], truth: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """The mean expected calibration error of the models."""
    errors = []
    for classes, told in shares:
        places = {name: place for place, name in enumerate(classes)}
        errors.append(calibration_error(np.array([places.get(name, -1) for name in truth]), told, weight))
    return float(np.mean(errors))


def by_threshold(
    spec: StudySpec,
    models: Sequence[Model],
    shares: Sequence[_Shares],
    truth: NDArray[Any],
    weight: NDArray[Any] | None,
) -> ByThreshold | None:
    """How the models tell two classes apart; None where they predict the more probable one."""
    tables = [model.description.get(KEY) for model in models]
    if not all(tables):
        return None
    known = [each for each in tables if each is not None]
    positive, name = str(known[0]["class"]), scores.name_of(spec, Task.CLASSIFICATION)
    half = []
    for classes, told in shares if name in MEASURES else ():
        called = np.array(classes, dtype=object)[decided(told, 0.5, classes.index(positive))]
        half.append(measured(name, truth, [called], positive).weighed(weight).values[0])
    return ByThreshold(
        positive,
        tuple(float(each["at"]) for each in known),
        bool(known[0]["chosen"]),
        _mean([each["val_score"] for each in known if "val_score" in each]),
        _mean([each["val_score_at_half"] for each in known if "val_score_at_half" in each]),
        _mean(half),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
