"""Which score a study has: a shipped one, see `formulas`, or a function of one's own.

Every trainer's readings have a score, after every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from numpy.typing import NDArray

from tuner import registry
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.errors import PluginError, TrialError, TunerError
from tuner.trainers import formulas
from tuner.trainers.formulas import Weight

GROUP = "tuner.scores"
"""The entry points that scores are registered under."""

DEFAULT: Mapping[Task, str] = {
    Task.CLASSIFICATION: "accuracy",
    Task.MULTILABEL: "f1_macro",
    Task.REGRESSION: "r2",
}
"""The score of a study that names none."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score of N rows.

    Attributes:
        function: a function ``(y, output) -> float``. For classification ``y`` holds class indices (N,) and
            ``output`` probabilities (N, C); for several labels both are (N, L), 0 or 1 and the probability of
            1; for regression both are numbers in the target's own units, (N,), or (N, T) of several targets.
        direction: whether more or less of it is better.
        tasks: what it is for.
        shipped: whether the function is one of `formulas`, which takes what a trainer holds, the data and
            the rows' weights.
        by_class: whether such a function takes predicted class indices (N,), not probabilities.
    """

    function: Callable[..., float]
    direction: Literal["maximize", "minimize"] = "maximize"
    tasks: tuple[Task, ...] = tuple(Task)
    shipped: bool = False
    by_class: bool = False

    def __call__(self, y: NDArray[Any], output: NDArray[Any]) -> float:
        """The score itself."""
        return self.function(y, output)

    def takes_probabilities(self, task: Task) -> bool:
        """Whether `of` is given probabilities, (N, C), and not predicted classes."""
        return task.is_of_classes and not self.by_class

    def of(self, truth: NDArray[Any], output: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
        """The score of what a trainer holds; `nan` where the rows do not say, see `formulas`.

        Args:
            truth: (N,) class indices, or (N,) or (N, T) standardized targets.
            output: probabilities or class indices, see `takes_probabilities`; else like `truth`.
            data: says what classes there are, and what a standardized unit is worth.
            weight: (N,) what each row counts; None: all the same. A function of one's own is not told.

        Raises:
            TrialError: the function returned no number.
        """
        if self.shipped and data.task is Task.MULTILABEL:
            return formulas.over_labels(self.function, truth, output, data, weight, self.by_class)
        if self.shipped:
            return self.function(truth, output, data, weight)
        if data.task is Task.REGRESSION:
            truth, output = (formulas.in_units(each, data) for each in (truth, output))
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


def of(spec: StudySpec, task: Task) -> Score:
    """The score of a study, of its own quantile where it is one.

    Raises:
        PluginError: see `find`.
    """
    found = find(name_of(spec, task))
    if found is quantile:
        return replace(found, function=partial(formulas.quantile, level=spec.trainer.quantile))
    return found


def takes_probabilities(spec: StudySpec, task: Task) -> bool:
    """Whether a study's score is given probabilities; no, where it cannot be found."""
    try:
        return of(spec, task).takes_probabilities(task)
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


_BOTH = (Task.CLASSIFICATION, Task.MULTILABEL)
_of_classes = partial(Score, tasks=_BOTH, shipped=True, by_class=True)
_of_probabilities = partial(Score, tasks=_BOTH, shipped=True)
_of_numbers = partial(Score, tasks=(Task.REGRESSION,), shipped=True)

accuracy = _of_classes(formulas.accuracy)
balanced_accuracy = _of_classes(formulas.balanced_accuracy)
mcc = _of_classes(formulas.mcc)
precision = _of_classes(partial(formulas.by_class, kind="precision"))
recall = _of_classes(partial(formulas.by_class, kind="recall"))
f1 = _of_classes(partial(formulas.by_class, kind="f1"))
precision_macro = _of_classes(partial(formulas.by_class, kind="precision", macro=True))
recall_macro = _of_classes(partial(formulas.by_class, kind="recall", macro=True))
f1_macro = _of_classes(partial(formulas.by_class, kind="f1", macro=True))
roc_auc = _of_probabilities(formulas.roc_auc)
average_precision = _of_probabilities(formulas.average_precision)
log_loss = _of_probabilities(formulas.log_loss, "minimize")
brier = _of_probabilities(formulas.brier, "minimize")
exact_match = Score(formulas.exact_match, tasks=(Task.MULTILABEL,), shipped=True, by_class=True)
r2 = _of_numbers(formulas.r2)
rmse = _of_numbers(formulas.rmse, "minimize")
mae = _of_numbers(formulas.mae, "minimize")
mape = _of_numbers(formulas.mape, "minimize")
quantile = _of_numbers(formulas.quantile, "minimize")
