"""SklearnTrainer: trains scikit-learn estimators, one trial at a time.

Which estimator, and which of its parameters are searched, is the study's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sklearn.base import is_classifier, is_regressor

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job
from tuner.core.space import Choice
from tuner.core.spec import StudySpec
from tuner.core.training import Snapshot
from tuner.core.trial import Trial
from tuner.data import scaling
from tuner.errors import PluginError, TunerError, first_line, near
from tuner.trainers import row_weights, scores, threshold
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.plain_losses import DEFAULT
from tuner.trainers.row_weights import KINDS, NAME
from tuner.trainers.sklearn.estimators import estimator_class, recipe_of, reference, takes_weights
from tuner.trainers.sklearn.session import EstimatorSession, FlatInputs

METRICS = ("gap", "seconds", "train_loss", "train_score", "val_loss", "val_score")
"""What can be an objective or a constraint here."""


class SklearnTrainer:
    """Trains any estimator of `[trainer] model`.

    One with `partial_fit` trains epoch by epoch, a shuffled pass over the training split each;
    any other has a single epoch.
    """

    def __init__(self) -> None:
        self._inputs: PerDataset[FlatInputs] = PerDataset()

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data an estimator cannot work with."""
        if data is None:
            return ('data: is missing; the sklearn trainer needs [data] source = "..."',)
        return [
            *_trainer_faults(spec, data.task),
            *row_weights.faults(spec, data),
            *threshold.faults(spec, data),
            *_estimator_faults(spec, data),
        ]

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> EstimatorSession:
        """Build the trial's estimator, or read it from the snapshot.

        Raises:
            PluginError: there is no such estimator, or no data.
        """
        data = job.data_for(trial)
        if data is None:
            raise PluginError('the sklearn trainer needs data; give [data] source = "..."')
        inputs = self._inputs.of(job, data, lambda: FlatInputs(data, job.spec.search.seed))
        session = EstimatorSession(trial, job.spec, inputs)
        if snapshot is not None:
            session.restore(snapshot)
        return session


def _trainer_faults(spec: StudySpec, task: Task) -> Iterator[str]:
    trainer = spec.trainer
    if set(trainer.devices) - {"auto", "cpu"}:
        yield f"trainer.device: scikit-learn trains on the CPU, found {trainer.device!r}; drop it"
    if trainer.precision != "float32":
        yield f"trainer.precision: scikit-learn has its own, found {trainer.precision!r}; drop it"
    if trainer.rates:
        yield "trainer.rates: an estimator of scikit-learn has no parts that learn at rates; drop it"
    if fault := scores.fault(trainer.score, task):
        yield f"trainer.score: {fault}"
    if trainer.loss not in (None, loss := DEFAULT[task]):
        yield (
            f"trainer.loss: sklearn trials of {task} are measured by {loss}, found '{trainer.loss}'; drop it"
        )
    for key, name in spec.objectives().named():
        if name not in METRICS:
            yield f"objective.{key}: unknown name {name!r}; {near(name, METRICS)}"


def _estimator_faults(spec: StudySpec, data: Dataset) -> Iterator[str]:
    task = data.task
    try:
        found = estimator_class(reference(spec.trainer.model, task))
    except TunerError as error:
        yield f"trainer.model: {error}"
        return
    try:
        estimator = found(**spec.trainer.settings)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - any class's constructor
        yield f"trainer.settings: {found.__name__} cannot be built: {first_line(error)}"
        return
    if not hasattr(estimator, "predict_proba") and spec.trainer.threshold is not None:
        yield f"trainer.threshold: {found.__name__} has no probabilities; drop it or give another estimator"
    elif not hasattr(estimator, "predict_proba") and scores.takes_probabilities(spec, task):
        yield (
            f"trainer.score: {spec.trainer.score} takes probabilities, and {found.__name__} has none; "
            "give another score or estimator"
        )
    if (is_regressor if task.is_of_classes else is_classifier)(estimator):
        yield f"trainer.model: {found.__name__} is not for {task}; give another estimator"
    if not takes_weights(estimator):
        for key, given in (
            ("data.weight", data.train.weight),
            ("trainer.class_weight", spec.trainer.class_weight),
        ):
            if given is not None:
                yield f"{key}: {found.__name__} fits rows without weights; drop it, or give another estimator"
    recipe = recipe_of(found)
    known = (*estimator.get_params(), *recipe)
    for place, values in (("space", spec.space.parameters), ("space.fixed", spec.space.fixed)):
        for name, value in values.items():
            if name not in known:
                yield f"{place}.{name}: {found.__name__} has no such parameter; {near(name, known)}"
            elif name in recipe:
                yield from _recipe_faults(place, name, value)
                if name == NAME and not takes_weights(estimator):
                    yield f"{place}.{name}: {found.__name__} fits rows without weights; drop it"


def _recipe_faults(place: str, name: str, value: Any) -> Iterator[str]:
    values = value.choices if isinstance(value, Choice) else (getattr(value, "default", value),)
    kinds = KINDS if name == NAME else scaling.KINDS
    for unknown in (v for v in values if v not in kinds):
        yield f"{place}.{name}: unknown name {unknown!r}; {near(str(unknown), kinds)}"
