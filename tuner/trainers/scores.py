"""The scores: accuracy, precision, recall, f1, r2, rmse, and functions of one's own.

Every trainer's readings have a score, after every epoch. The shipped ones are scikit-learn's definitions in
a few lines, and `judging.measures` must agree with them: importing `sklearn.metrics` would take 1.2 s of CPU
in each process that trains; the tests compare both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.errors import PluginError, TrialError, TunerError

GROUP = "tuner.scores"
"""The entry points that scores are registered under."""

DEFAULT: Mapping[Task, str] = {Task.CLASSIFICATION: "accuracy", Task.REGRESSION: "r2"}
"""The score of a study that names none."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score of N rows.

    Attributes:
        function: a function ``(y, output) -> float``. For classification ``y`` holds class indices (N,) and
            ``output`` probabilities (N, C); for regression both are numbers in the target's own units, (N,),
            or (N, T) of several targets.
        direction: whether more or less of it is better.
        tasks: what it is for.
        shipped: whether the function takes what a trainer holds instead, and the data as a third
            argument: predicted class indices (N,), or standardized targets (N, T).
    """

    function: Callable[..., float]
    direction: Literal["maximize", "minimize"] = "maximize"
    tasks: tuple[Task, ...] = tuple(Task)
    shipped: bool = False

    def __call__(self, y: NDArray[Any], output: NDArray[Any]) -> float:
        """The score itself."""
        return self.function(y, output)

    def takes_probabilities(self, task: Task) -> bool:
        """Whether `of` is given probabilities, (N, C), and not predicted classes."""
        return task is Task.CLASSIFICATION and not self.shipped

    def of(self, truth: NDArray[Any], output: NDArray[Any], data: Dataset) -> float:
        """The score of what a trainer holds.

        Args:
            truth: (N,) class indices, or (N,) or (N, T) standardized targets.
            output: probabilities or class indices, see `takes_probabilities`; else like `truth`.
            data: says what classes there are, and what a standardized unit is worth.

        Raises:
            TrialError: the function returned no number.
        """
        if self.shipped:
            return self.function(truth, output, data)
        if data.task is Task.REGRESSION:
            truth, output = (_in_units(each, data) for each in (truth, output))
        found = self.function(truth, output)
        try:
            return float(found)
        except (TypeError, ValueError) as error:
            name = getattr(self.function, "__name__", "score")
            raise TrialError(f"{name}: returned a {type(found).__name__}; return a number") from error


def score(
    direction: Literal["maximize", "minimize"], *, tasks: tuple[Task, ...] = tuple(Task)
) -> Callable[[Callable[[Any, Any], float]], Score]:
    """Make a score of a function ``(y, output) -> float``, as a decorator; see `Score`."""
    if direction not in ("maximize", "minimize"):
        raise PluginError(f'score: direction: give "maximize" or "minimize", found {direction!r}')
    return lambda function: Score(function, direction, tasks)


def find(name: str) -> Score:
    """The score of a name or a reference; a plain function is one of which more is better.

    Raises:
        PluginError: it leads nowhere, or to something that cannot be called.
    """
    found = registry.load(name, GROUP)
    if isinstance(found, Score):
        return found
    if not callable(found):
        raise PluginError(f"{name}: is a {type(found).__name__}; give a function (y, output) -> float")
    return Score(found)


def name_of(spec: StudySpec, task: Task) -> str:
    """The score that a study names, or the task's default."""
    return spec.trainer.score or DEFAULT[task]


def takes_probabilities(spec: StudySpec, task: Task) -> bool:
    """Whether a study's score is given probabilities; no, where it cannot be found."""
    try:
        return find(name_of(spec, task)).takes_probabilities(task)
    except TunerError:
        return False


def fault(name: str | None, task: Task) -> str | None:
    """Why a study of a task cannot have a score; None where it can."""
    try:
        if name is None or task in find(name).tasks:
            return None
    except TunerError as error:
        return str(error)
    fitting = [each for each in registry.registered(GROUP) if task in find(each).tasks]
    return f"'{name}' is not for {task}; give one of {', '.join(fitting)}"


def _in_units(values: NDArray[Any], data: Dataset) -> NDArray[np.float64]:
    found = values.astype(np.float64).reshape(len(values), -1) * data.target_scale + data.target_shift
    return found[:, 0] if found.shape[1] == 1 else found


def _accuracy(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset) -> float:  # noqa: ARG001
    return int(np.count_nonzero(truth == predicted)) / len(truth)


def _by_class(
    truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, *, kind: str, macro: bool = False
) -> float:
    """Of two classes that of `Dataset.positive`; of more, the mean over the classes that occur in either."""
    classes = len(data.classes)
    hits = np.bincount(truth[truth == predicted], minlength=classes)
    true, called = np.bincount(truth, minlength=classes), np.bincount(predicted, minlength=classes)
    above, below = {"precision": (hits, called), "recall": (hits, true), "f1": (2 * hits, true + called)}[
        kind
    ]
    shares = above / np.maximum(below, 1)  # 0 / 0 counts as 0
    if classes == 2 and not macro:
        return float(shares[data.positive])
    return float(np.mean(shares[true + called > 0]))


def _r2(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset) -> float:  # noqa: ARG001
    """1 minus the share of the variance that is left; of a constant target 1 or 0."""
    y, p = truth.astype(np.float64), predicted.astype(np.float64)
    squares = np.sum((y - p) ** 2, axis=0)
    total = np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    constant = np.where(squares == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, constant, 1 - squares / np.where(total == 0, 1, total))))


def _rmse(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset) -> float:
    """In the target's own units; the mean of each target's."""
    y, p = truth.astype(np.float64), predicted.astype(np.float64)
    squares = np.sum((y - p) ** 2, axis=0)
    return float(np.mean(np.sqrt(squares / len(y)) * data.target_scale))


def _of_classes(function: Callable[..., float]) -> Score:
    return Score(function, tasks=(Task.CLASSIFICATION,), shipped=True)


accuracy = _of_classes(_accuracy)
precision, recall, f1 = (_of_classes(partial(_by_class, kind=k)) for k in ("precision", "recall", "f1"))
precision_macro, recall_macro, f1_macro = (
    _of_classes(partial(_by_class, kind=k, macro=True)) for k in ("precision", "recall", "f1")
)
r2 = Score(_r2, tasks=(Task.REGRESSION,), shipped=True)
rmse = Score(_rmse, "minimize", tasks=(Task.REGRESSION,), shipped=True)
