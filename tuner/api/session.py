"""Session: data, search, trainer, executor and store wired together for one run of the engine."""

from __future__ import annotations

import logging
import math
import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import Any, Self

import numpy as np

from tuner import callbacks, executors
from tuner.api import tracking
from tuner.api.layout import assign_devices, devices_each, devices_for, layout_of, machine, used_devices
from tuner.api.planning import PreparedStudy
from tuner.api.probe import WorkerLayout, compile_kernels
from tuner.api.provenance import inputs_of
from tuner.artifacts import Artifacts
from tuner.core import garbage, words
from tuner.core.baseline import KEY
from tuner.core.job import Resources
from tuner.core.ports import Callback, Executor, Observer, Searcher
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import NUMBERS, Reading, TrialRecord
from tuner.engine import Engine
from tuner.executors.checkpoints import Checkpoints
from tuner.findings.commonest_class import MOST
from tuner.judging.measures import BY_CLASS
from tuner.search import OptunaSearcher
from tuner.store import Database, StudyStore
from tuner.trainers.baseline import baseline

_LOG = logging.getLogger(__name__)

_VERSION = cache(version)


@dataclass(frozen=True)
class Session:
    """All that a run needs, made before anything is stored, so that a fault leaves no trace.

    Attributes:
        kind: the executor's name.
        layout: how many workers, and the rows and threads of each.
        devices: those that are used; decided, never ``"auto"``.
        at_hand: how many there were to choose from.
        unfused: why trials train one at a time; None where they are fused.
        measured: the measured gain of the layout; None where there was no choice.
        told: further notes, one sentence each.
        stored: the facts of a study that goes on.
    """

    planned: PreparedStudy
    url: str
    searcher: Searcher
    rules: Sequence[Callback]
    kind: str
    layout: WorkerLayout
    devices: tuple[str, ...]
    unfused: str | None
    measured: str | None
    told: tuple[str, ...] = ()
    stored: Mapping[str, Any] = field(default_factory=dict)
    at_hand: int = 1

    @classmethod
    def of(
        cls, planned: PreparedStudy, url: str, *, in_process: bool, stored: Mapping[str, Any] | None = None
    ) -> Self:
        """Decide what is left to ``"auto"``: by measuring, where trials can be fused.

        Args:
            planned: the checked study.
            url: the database.
            in_process: prefer this process, as a function from a notebook does.
            stored: the facts of a study that goes on, which keeps what was decided on this machine.

        Raises:
            SpecError: the sampler cannot work with the space.
            PluginError: a rule's reference leads nowhere, or a tracker's package is not installed.
        """
        spec, trainer = planned.spec, planned.spec.trainer
        devices = devices_for(trainer)
        tracking.require(spec.tracking)
        unfused = "[trainer] rows = 1" if trainer.rows == 1 else planned.unfused(devices[0])
        searcher = OptunaSearcher(
            spec.search_space(), spec.search, spec.objectives(), learns=spec.space.learned
        )
        rules = callbacks.build(spec)
        layout, measured = layout_of(planned, devices, unfused, in_process, stored or {})
        at_hand, devices = len(devices), used_devices(trainer, devices, layout.workers, layout.world_size)
        if layout.rows == 1 and unfused is None:
            unfused = measured or "as this study began"
        limited = spec.stop.memory is not None or spec.stop.silence is not None or layout.world_size > 1
        kind = executors.chosen(trainer.executor, layout.workers, ends_trials=limited)
        return cls(
            planned, url, searcher, rules, kind, layout, devices, unfused, measured,
            stored=stored or {}, at_hand=at_hand,
        )  # fmt: skip

    @property
    def fingerprint(self) -> bytes | None:
        """The fingerprint of the data."""
        return self.planned.data.fingerprint if self.planned.data is not None else None

    def forget_checkpoints(self, artifacts: Artifacts, records: Sequence[TrialRecord]) -> None:
        """Make running trials start again, since they were trained on other data."""
        checkpoints = Checkpoints(artifacts)
        for record in records:
            if not record.state.is_over:
                checkpoints.drop(record.number)

    @property
    def notes(self) -> list[str]:
        """Notes on data preparation and on where trials run, for the terminal and the store."""
        at, each = self.layout, words.count(self.layout.threads, "thread")
        if executors.kind(self.kind).is_local:
            runs = f"in this process on {', '.join(self.devices)}, {each}"
        else:
            runs = f"{words.count(at.workers, 'worker')} on {', '.join(self.devices)}, {each} each"
        how = f"one trial at a time: {self.unfused}"
        if self.planned.spec.trainer.world_size != 1:
            how = f"each trial on {at.world_size} process{'es' if at.world_size > 1 else ''}"
            how += f", {self.measured}" if self.measured else ""
        if self.unfused is None:
            where = f" x {at.workers} processes" if at.workers > 1 else ""
            how = f"{at.rows} rows{where}, {self.measured or 'fused'}"
        return [
            *self.told,
            *(self.planned.data.notes if self.planned.data is not None else ()),
            *self._positive(),
            *self._unequal(),
            *self._repeats(),
            f"runs: {runs}",
            f"trains: {how}",
            *([f"copied to: {', '.join(used)}"] if (used := self.planned.spec.tracking.use) else ()),
        ]

    def _positive(self) -> list[str]:
        """The class that the score is about, if it is about one of two."""
        data, score = self.planned.data, self.planned.spec.trainer.score
        if data is None or score not in (*BY_CLASS, "average_precision") or len(data.classes) != 2:
            return []
        named = self.planned.spec.data is not None and self.planned.spec.data.positive is not None
        why = "as the study says" if named else "the rarer one; [data] positive names another"
        return [f"The {score} is that of the class '{data.classes[data.positive]}', {why}."]

    def _unequal(self) -> list[str]:
        """That one class has nearly all rows, where the score is the share of rows that are right."""
        data, score = self.planned.data, self.planned.spec.trainer.score or "accuracy"
        if data is None or not data.classes or score != "accuracy":
            return []
        counts = np.bincount(data.train.y, minlength=len(data.classes))
        share, commonest = counts.max() / counts.sum(), data.classes[counts.argmax()]
        if share < MOST:
            return []
        return [
            f"{words.percent(share, 1)} of the training rows are '{commonest}', and always predicting it has "
            'as good an accuracy; [trainer] score = "balanced_accuracy" or "average_precision" with '
            '[objective] metric = "val_score" counts the other rows, too.'
        ]

    def _repeats(self) -> list[str]:
        """How often every trial trains, if it is repeated with seeds alone."""
        spec = self.planned.spec
        seeds, folds = spec.trainer.repeats, spec.data.folds if spec.data else None
        if seeds == 1:
            return []
        times = f"{seeds} times" if folds is None else f"{seeds * folds} times in all"
        return [f"{seeds} seeds: every trial trains {times}"]

    @property
    def facts(self) -> dict[str, Any]:
        """What the store keeps of the run beside the spec."""
        chosen = {
            "device": ", ".join(self.devices),
            **({"devices_at_hand": self.at_hand} if self.at_hand > len(self.devices) else {}),
            "executor": self.kind,
            "workers": self.layout.workers,
            "rows": self.layout.rows,
            "threads": self.layout.threads,
            **({"world_size": self.layout.world_size} if self.planned.spec.trainer.world_size != 1 else {}),
            "most_work": None if math.isinf(self.layout.most_work) else self.layout.most_work,
            "measured": self.measured,
        }
        data = self.planned.data
        rows: dict[str, Any] = {}
        if data is not None:
            rows = {"task": data.task, "train_rows": len(data.train), "validation_rows": len(data.validation)}
            rows |= inputs_of(data)
        versions = {name: _VERSION(name) for name in ("tuner", "torch", "optuna", "scikit-learn", "numpy")}
        where = {"machine": machine(), "python": platform.python_version(), "versions": versions}
        found = baseline(self.planned.spec, data)
        base = {KEY: found.to_table()} if found is not None else {}
        return {**chosen, **where, **rows, **base, "notes": self.notes}

    def drive(self, database: Database, store: StudyStore, observer: Observer | None) -> None:
        """Run the engine until the study ends, and release its lease in any case."""
        spec = self.planned.spec
        try:
            notes = [*self.notes, *store.notes]
            for note in notes:
                _LOG.info("%s: %s", spec.name, note)
            if observer is not None:
                observer.begin(spec, notes)
            seconds, position = database.standing(spec.name)
            with garbage.postponed():
                records = database.records(spec.name, is_brief=spec.objectives().is_plain)
                curves = database.curves(spec.name, is_over=False)
            ended = _EndedCurves(database, spec.name, spec.primary_objective().metric)
            history = tracking.RecordedTrials(records, curves, ended, spec.search.seed)
            with tracking.tracked(store, spec, store.artifacts.identity, history) as recording:
                # The engine closes the executor; nothing may come between.
                engine = Engine(
                    searcher=self.searcher,
                    executor=self._executor(store.artifacts),
                    store=recording,
                    callbacks=self.rules,
                    objective=spec.objectives(),
                    budget=spec.budget,
                    keep=spec.trainer.keep,
                    artifacts=store.artifacts,
                    max_failures=spec.stop.max_failures,
                    study_seed=spec.search.seed,
                    observer=observer,
                )
                with self._preparing():
                    engine.run(records, curves, seconds, position, ended)
        finally:
            store.close()

    @contextmanager
    def _preparing(self) -> Iterator[None]:
        """While worker processes start, the searcher loads what it will draw with."""
        if executors.kind(self.kind).is_local or not isinstance(self.searcher, OptunaSearcher):
            yield
            return
        thread = threading.Thread(target=self.searcher.prepare, daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _executor(self, artifacts: Artifacts) -> Executor:
        planned, trainer = self.planned, self.planned.spec.trainer
        at = self.layout
        job = planned.job(at.rows, Resources(self.devices, at.threads))
        job = replace(job, most_work=at.most_work)
        if at.rows > 1 and self.measured is None and self.devices[0] == "cpu":
            compile_kernels(planned.make(), job)
        in_a_row = devices_each(trainer, self.devices, at.world_size)
        shares = assign_devices(self.devices, in_a_row, at.workers, at.threads)
        resources = [replace(each, world_size=at.world_size) for each in shares]
        setup = executors.Setup(
            planned.make, job, artifacts, tuple(resources), trainer.restarts, bool(trainer.reproducible),
            planned.standby,
        )  # fmt: skip
        try:
            return executors.kind(self.kind).start(setup)
        finally:
            if planned.standby is not None:
                planned.standby.dismiss()


@dataclass(frozen=True)
class _EndedCurves:
    """What the rules of a study are told of its trials that are over; see `core.ports.EndedCurves`."""

    database: Database
    study: str
    metric: str

    def columns(self) -> Iterator[ReadingColumns]:
        extras = () if self.metric in NUMBERS else (self.metric,)
        return self.database.ended_readings(self.study, extras)

    def curves(self) -> Iterator[tuple[int, Sequence[Reading]]]:
        return self.database.each_ended(self.study)
