"""EstimatorSession: one trial's estimator, fitted epoch by epoch; FlatInputs: arrays that trials share."""

from __future__ import annotations

import copy
import inspect
import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core import seeds
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Outcome, Snapshot
from tuner.core.trial import Reading, Trial
from tuner.data import Scaling, flat
from tuner.trainers import threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.model import description_of
from tuner.trainers.row_weights import NAME, row_weights
from tuner.trainers.sklearn import model
from tuner.trainers.sklearn.estimators import build, estimator_class, for_task, of_label, recipe_of, reference
from tuner.trainers.sklearn.measures import measure
from tuner.trainers.state import freeze, reading_of, reading_table, thaw

logger = logging.getLogger(__name__)

_DIVERGED = ("non-finite", "overflow")
"""What scikit-learn's errors say when weights are no longer numbers."""


class FlatInputs:
    """A dataset's arrays, scaled and flat; made once per kind of scaling.

    Attributes:
        sample: the training rows that the training loss is measured on, no more than there are
            validation rows; the same ones for every trial of the study.
    """

    def __init__(self, data: Dataset, study_seed: int) -> None:
        self.data = data
        order = np.random.default_rng(seeds.derive(study_seed, -1, "sample")).permutation(len(data.train))
        self.sample = np.sort(order[: len(data.validation)])
        self._scaled: dict[str, tuple[Scaling, NDArray[np.float32], NDArray[np.float32]]] = {}

    def scaled(self, kind: str) -> tuple[Scaling, NDArray[np.float32], NDArray[np.float32]]:
        """The scaling, and training and validation inputs, (N, D) each.

        Raises:
            DataError: the kind is unknown.
        """
        if kind not in self._scaled:
            data = self.data
            scaling = Scaling.of(kind, data)
            train, validation = (flat(scaling, s.x, data.vocabulary) for s in (data.train, data.validation))
            self._scaled[kind] = (scaling, train, validation)
        return self._scaled[kind]


class EstimatorSession:
    """A trial in training; a `TrialSession`."""

    def __init__(self, trial: Trial, spec: StudySpec, inputs: FlatInputs) -> None:
        task = inputs.data.task
        self.trial, self._spec = trial, spec
        self.inputs = inputs
        self.score = threshold.score_of(spec, task)
        self._reference = reference(spec.trainer.model, task)
        self.epoch = 0
        self.best: Reading | None = None
        self.kept: Any = None
        self._writable = True
        self._objective = spec.primary_objective()
        self._streams = GlobalRng(trial.seed("global"))
        self._order = np.random.default_rng(trial.seed("order"))
        self._scaling, self._train, self._validation = inputs.scaled(
            str(trial.params.get("scaling", inputs.data.scaling))
        )
        own = trial.params.get(NAME) if NAME in recipe_of(estimator_class(self._reference)) else None
        self._weights = row_weights(inputs.data, str(own) if own is not None else spec.trainer.class_weight)
        self.estimator = for_task(build(estimator_class(self._reference), spec.trainer.settings, trial), task)
        self._by_epochs = hasattr(self.estimator, "partial_fit")

    def next(self) -> Outcome:
        """Fit one epoch further; Exhausted when a single fit was all there is."""
        if self.epoch and not self._by_epochs:
            return Exhausted()
        start = time.perf_counter()
        # Convergence is the study's affair, and numbers that leave their range are seen below.
        with self._streams, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            (train_loss, train_score), (val_loss, val_score) = self._epoch()
        self.epoch += 1
        numbers, seconds = (train_loss, val_loss, train_score, val_score), time.perf_counter() - start
        reading = Reading(self.epoch, *numbers, seconds=seconds, is_last=not self._by_epochs)
        if self._objective.prefers(reading, self.best):
            self.best, self.kept = reading, copy.deepcopy(self.estimator)
        return reading

    def snapshot(self) -> Snapshot | None:
        """All that training changes; None, with a line in the log, where skops cannot write the estimator."""
        from skops import io  # it looks at every estimator there is, which takes a second

        if not self._writable or not self.epoch:
            return None
        try:
            text = io.dumps({"now": self.estimator, "kept": self.kept})
        except Exception as error:  # noqa: BLE001 - skops has no error of its own for this
            logger.info("trial %d: its state cannot be kept: %s", self.trial.number, error)
            self._writable = False
            return None
        state = {
            "estimators": np.frombuffer(text, np.uint8),
            "best": reading_table(self.best),
            "order": self._order.bit_generator.state,
            "streams": self._streams.state(),
        }
        return Snapshot(self.epoch, *freeze(state))

    def restore(self, snapshot: Snapshot) -> None:
        """Go on where a snapshot of this trial was made.

        Raises:
            TrialError: there is something in it that no estimator of this class is made of.
        """
        state = thaw(snapshot.arrays, snapshot.facts)
        place = f"the state of trial {self.trial.number}"
        found = model.read(state["estimators"].tobytes(), type(of_label(self.estimator)), place)
        self.estimator, self.kept = found["now"], found["kept"]
        self.epoch, self.best = snapshot.epoch, reading_of(state["best"])
        self._order.bit_generator.state = state["order"]
        self._streams.restore(state["streams"])

    def save(self, folder: Path) -> bool:
        """Write the best epoch's estimator, see `SklearnModel.write`; False when there is none."""
        if self.best is None:
            return False
        description = {
            **description_of(self.trial, self.best, "sklearn", model.FORMAT),
            "estimator": model.absolute(self._reference),
            **model.preparation(self.kept, self._scaling, self.inputs.data, self._spec),
        }
        model.SklearnModel(description, self.kept).write(folder)
        return True

    def close(self) -> None:
        """Nothing to release."""

    def _epoch(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The loss and the score in training, and those in validation."""
        data, sample = self.inputs.data, self.inputs.sample
        weight = data.train.weight
        try:
            self._fit(self._train, data.train.y)
            parts = (
                (self._train[sample], data.train.y[sample], None if weight is None else weight[sample]),
                (self._validation, data.validation.y, data.validation.weight),
            )
            train, validation = (measure(self.estimator, x, y, data, self.score, w) for x, y, w in parts)
        except ValueError as error:
            if not any(word in str(error) for word in _DIVERGED):
                raise
            train = validation = (math.nan, math.nan)
        return train, validation

    def _fit(self, x: NDArray[np.float32], y: NDArray[Any]) -> None:
        if not self._by_epochs:
            self.estimator.fit(x, y, **({} if self._weights is None else {"sample_weight": self._weights}))
            return
        order = self._order.permutation(len(x))
        # A classifier has to hear of all classes before it sees them.
        takes_classes = "classes" in inspect.signature(self.estimator.partial_fit).parameters
        known: Any = np.arange(len(self.inputs.data.classes))
        if self.inputs.data.task is Task.MULTILABEL:
            known = [np.arange(2)] * y.shape[1]
        more: dict[str, Any] = {"classes": known} if takes_classes else {}
        if self._weights is not None:
            more["sample_weight"] = self._weights[order]
        self.estimator.partial_fit(x[order], y[order], **more)
