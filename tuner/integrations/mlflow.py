"""MLflow: an experiment for the study, and in it a run for each trial."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from tuner.core.trial import Reading, Trial, TrialRecord, TrialState

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table that it makes

_MOST = 1000
"""Metrics that one call takes."""

_STATUS = {TrialState.FINISHED: "FINISHED", TrialState.STOPPED: "KILLED", TrialState.FAILED: "FAILED"}


class MLflow:
    """A `Tracker` that writes to `uri`, else to MLFLOW_TRACKING_URI, else to ``mlflow.db``."""

    def __init__(
        self, study: str, identity: str, *, uri: str | None = None, experiment: str | None = None
    ) -> None:
        self._client = MlflowClient(uri)
        self._study, self._identity = study, identity
        name = experiment or study
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found is not None else self._client.create_experiment(name)
        self._runs = {int(run.data.tags["tuner.trial"]): run for run in self._stored()}
        self._ids = {number: run.info.run_id for number, run in self._runs.items()}

    def missing(self, numbers: Collection[int]) -> Collection[int]:
        """Trials without a run that has ended."""
        ended = {number for number, run in self._runs.items() if run.info.status in _STATUS.values()}
        return [number for number in numbers if number not in ended]

    def start(self, trial: Trial, curve: Sequence[Reading]) -> None:
        """Begin a run, or go on with the one that an earlier session left behind these readings."""
        run = self._runs.pop(trial.number, None)
        known = 0 if run is None else int(run.data.metrics.get("epoch", 0))
        if known > len(curve) or (not curve and trial.number in self._ids):
            self._client.delete_run(self._ids.pop(trial.number))
            known = 0
        if trial.number not in self._ids:
            tags = {"tuner.study": self._study, "tuner.identity": self._identity}
            begun = self._client.create_run(
                self._experiment,
                run_name=f"trial {trial.number}",
                tags=tags | {"tuner.trial": str(trial.number), "tuner.origin": trial.origin.value},
            )
            self._ids[trial.number] = begun.info.run_id
            params = [Param(name, str(value)) for name, value in trial.params.items()]
            self._client.log_batch(begun.info.run_id, params=params)
        self.log(trial.number, curve[known:])

    def log(self, number: int, readings: Sequence[Reading]) -> None:
        """Add the numbers of these epochs, a step each."""
        moment, metrics = round(time.time() * 1000), []
        for reading in readings:
            numbers = {**reading.measured, "epoch": reading.epoch}
            metrics += [Metric(name, value, moment, reading.epoch) for name, value in numbers.items()]
        for at in range(0, len(metrics), _MOST):
            self._client.log_batch(self._ids[number], metrics=metrics[at : at + _MOST])

    def end(self, record: TrialRecord) -> None:
        """Note how the trial ended, and its value; a paused one goes on later."""
        told = {"tuner.state": record.state.value, "tuner.reason": record.reason or ""}
        tags = [RunTag(name, text) for name, text in told.items()]
        best = record.best.epoch if record.best is not None else record.epochs
        moment = round(time.time() * 1000)
        value = [] if record.value is None else [Metric("value", record.value, moment, best)]
        self._client.log_batch(self._ids[record.number], metrics=value, tags=tags)
        if record.state.is_over:
            self._client.set_terminated(self._ids[record.number], _STATUS[record.state])

    def close(self) -> None:
        """Everything has been written."""

    def _stored(self) -> list[Any]:
        found: list[Any] = []
        page: str | None = None
        mine = f"tags.`tuner.identity` = '{self._identity}'"
        while True:
            runs = self._client.search_runs([self._experiment], mine, max_results=1000, page_token=page)
            found += runs
            page = runs.token
            if not page:
                return found
