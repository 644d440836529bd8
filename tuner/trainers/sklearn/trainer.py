"""SklearnTrainer: trains scikit-learn estimators, one trial at a time.

Which estimator, and which of its parameters are searched, is the study's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn.base import is_classifier, is_regressor

from tuner.core.dataset import Dataset, Task
from tuner.core.ports import Exhausted, Failure, Job, Outcome, Snapshot
from tuner.core.space import Choice
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.data.scaling import KINDS
from tuner.errors import PluginError, TunerError, first_line, near
from tuner.trainers import scores
from tuner.trainers.sklearn.estimators import RECIPE, estimator_class, reference
from tuner.trainers.sklearn.measures import LOSSES
from tuner.trainers.sklearn.run import Material, Run

METRICS = ("gap", "seconds", "train_loss", "train_score", "val_loss", "val_score")
"""What can be an objective or a constraint here."""


class SklearnTrainer:
    """Trains any estimator of `[trainer] model`.

    One with `partial_fit` trains epoch by epoch, a shuffled pass over the training split each;
    any other has a single epoch.
    """

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data an estimator cannot work with."""
        if data is None:
            return ('data: is missing; the sklearn trainer needs [data] source = "..."',)
        return [*_trainer_faults(spec, data.task), *_estimator_faults(spec, data.task)]

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:  # noqa: ARG002
        """Always: an estimator trains by itself."""
        return "estimators of scikit-learn train one at a time"

    def parks(self, spec: StudySpec) -> bool:
        """Whether the estimator is scikit-learn's own and trains epoch by epoch.

        Snapshots of others are made where skops can write them, which shows only then.
        """
        try:
            found = [estimator_class(reference(spec.trainer.model, task)) for task in Task]
        except TunerError:
            return False
        return all(c.__module__.startswith("sklearn.") and hasattr(c, "partial_fit") for c in found)

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:  # noqa: ARG002
        """None: there is one row."""
        return None

    def populate(self, job: Job) -> SklearnPopulation:
        """Set up an empty row.

        Raises:
            PluginError: there is no such estimator, or no data.
        """
        if job.data is None:
            raise PluginError('the sklearn trainer needs data; give [data] source = "..."')
        return SklearnPopulation(job, job.data)


class SklearnPopulation:
    """One row, empty or with an estimator in it."""

    capacity = 1

    def __init__(self, job: Job, data: Dataset) -> None:
        spec = job.spec
        self._spec = spec
        self._reference = reference(spec.trainer.model, data.task)
        self._estimator = estimator_class(self._reference)
        self._material = Material(data, spec.search.seed)
        self._score = scores.name_of(spec, data.task)
        self._trial: Trial | None = None
        self._run: Run | None = None
        self._failure: Failure | None = None

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:  # noqa: ARG002
        """Take a trial; its estimator is built by the first `advance`, or read from the snapshot."""
        self._trial, self._run, self._failure = trial, None, None
        if snapshot is not None:
            try:
                run = self._built(trial)
                run.restore(snapshot)
                self._run = run
            except Exception as error:  # noqa: BLE001
                self._failure = Failure.of(error)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Fit one epoch further, if the row is among `rows`."""
        if self._trial is None or (rows is not None and 0 not in rows):
            return {}
        return {0: self._outcome(self._trial)}

    def save(self, row: int, folder: Path) -> bool:  # noqa: ARG002
        """Write the best epoch's estimator."""
        return self._run is not None and self._run.save(folder, self._reference)

    def snapshot(self, row: int) -> Snapshot | None:  # noqa: ARG002
        """The trial's state after an epoch; None where skops cannot write its estimator."""
        return None if self._run is None or not self._run.epoch else self._run.snapshot()

    def clear(self, row: int) -> None:  # noqa: ARG002
        """Drop the estimator."""
        self._trial = self._run = self._failure = None

    def _outcome(self, trial: Trial) -> Outcome:
        if self._failure is not None:
            return self._failure
        try:
            if self._run is None:
                self._run = self._built(trial)
            return self._run.advance() or Exhausted()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - what a trial raises is a value
            return Failure.of(error)

    def _built(self, trial: Trial) -> Run:
        return Run(trial, self._spec, self._estimator, self._material, self._score)


def _trainer_faults(spec: StudySpec, task: Task) -> Iterator[str]:
    trainer = spec.trainer
    if trainer.device not in ("auto", "cpu"):
        yield f"trainer.device: scikit-learn trains on the CPU, found {trainer.device!r}; drop it"
    if fault := scores.fault(trainer.score, task):
        yield f"trainer.score: {fault}"
    if trainer.loss is not None and trainer.loss != LOSSES[task]:
        yield (
            f"trainer.loss: sklearn trials of {task} are measured by {LOSSES[task]}, "
            f"found '{trainer.loss}'; drop it"
        )
    for key, name in spec.goals().named():
        if name not in METRICS:
            yield f"objective.{key}: unknown name {name!r}; {near(name, METRICS)}"


def _estimator_faults(spec: StudySpec, task: Task) -> Iterator[str]:
    try:
        found = estimator_class(reference(spec.trainer.model, task))
    except TunerError as error:
        yield f"trainer.model: {error}"
        return
    try:
        estimator = found(**spec.trainer.settings)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a constructor of anybody's
        yield f"trainer.settings: {found.__name__} cannot be built: {first_line(error)}"
        return
    if not hasattr(estimator, "predict_proba") and scores.takes_probabilities(spec, task):
        yield (
            f"trainer.score: {spec.trainer.score} takes probabilities, and {found.__name__} has none; "
            "give another score or estimator"
        )
    if (is_regressor if task is Task.CLASSIFICATION else is_classifier)(estimator):
        yield f"trainer.model: {found.__name__} is not for {task}; give another estimator"
    known = (*estimator.get_params(), *RECIPE)
    places: list[tuple[str, Mapping[str, Any]]] = [
        ("space", spec.space.parameters),
        ("space.fixed", spec.space.fixed),
    ]
    for place, values in places:
        for name, value in values.items():
            if name not in known:
                yield f"{place}.{name}: {found.__name__} has no such parameter; {near(name, known)}"
            elif name == "scaling":
                yield from _scaling_faults(place, value)


def _scaling_faults(place: str, value: Any) -> Iterator[str]:
    values = value.choices if isinstance(value, Choice) else (getattr(value, "default", value),)
    for unknown in (v for v in values if v not in KINDS):
        yield f"{place}.scaling: unknown name {unknown!r}; {near(str(unknown), KINDS)}"
