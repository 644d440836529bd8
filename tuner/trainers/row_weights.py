"""What each training row counts: the weights of rows (`[data] weight`) times those of their classes.

Weights are normalized to a mean of 1 over the training rows, and the loss of a batch is the mean of w_i l_i
over its rows: a batch of heavy rows makes a larger step than one of light ones, so that an epoch has the
expected gradient of the weighted loss whatever the batch size. The validation loss knows no class weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.errors import near

NAME = "class_weight"
"""The parameter that a space may search; the values are `KINDS`."""

KINDS = ("none", "balanced")

ClassWeight = str | Mapping[str, float] | None
"""``"balanced"``, ``"none"`` or None, or weights by the classes' names."""


def row_weights(data: Dataset, class_weight: ClassWeight) -> NDArray[np.float32] | None:
    """The weights of the training rows, (N,), their mean 1; None where all count the same.

    Args:
        data: with or without weights of rows.
        class_weight: ``"balanced"`` is N / (C n_c) for a class of n_c rows (King and Zeng 2001), as
            scikit-learn has it; a class without a weight of its own has 1.
    """
    if class_weight in (None, "none") or data.task is not Task.CLASSIFICATION:
        return data.train.weight
    y = data.train.y
    if isinstance(class_weight, Mapping):
        of_class = np.array([class_weight.get(name, 1.0) for name in data.classes])
    else:
        of_class = len(y) / (len(data.classes) * np.maximum(np.bincount(y, minlength=len(data.classes)), 1))
    weights = of_class[y] * (1.0 if data.train.weight is None else data.train.weight)
    return np.asarray(weights / weights.mean(), np.float32)


def faults(spec: StudySpec, data: Dataset) -> Iterator[str]:
    """What in a study's class weights makes no sense, ``key: what; what to do`` each."""
    given = spec.trainer.class_weight
    if given is not None and data.task is not Task.CLASSIFICATION:
        yield f"trainer.{NAME}: is for the classes of one target, found {data.task}; drop it"
        return
    for name in given if isinstance(given, Mapping) else ():
        if name not in data.classes:
            yield f"trainer.{NAME}: unknown class {name!r}; {near(name, data.classes)}"
    if isinstance(given, Mapping) and not any(given.get(name, 1.0) for name in data.classes):
        yield f"trainer.{NAME}: no class counts anything; give at least one a number above 0"
