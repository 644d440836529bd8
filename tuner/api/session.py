"""Session: data, search, trainer, executor and store wired together for one run of the engine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tuner import callbacks, executors
from tuner.api.specify import Plan
from tuner.core.ports import Callback, Executor, Job, Observer
from tuner.engine import Engine
from tuner.search import OptunaSearcher
from tuner.store import Database, StudyStore
from tuner.trainers.device import device_at_hand

FEWEST_ROWS = 2
"""Rows of a fused population where nothing else is asked for, however few threads it has."""


@dataclass(frozen=True)
class Session:
    """All that a run needs, made before anything is stored, so that a fault leaves nothing behind.

    Attributes:
        kind: ``"inline"`` or ``"processes"``.
        workers: how many; 1 in this process.
        rows: how many trials each worker trains at once.
        threads: how many each worker has.
        device: decided, never ``"auto"``.
        unfused: why trials train one at a time; None where they are fused.
    """

    planned: Plan
    url: str
    searcher: OptunaSearcher
    rules: Sequence[Callback]
    kind: str
    workers: int
    rows: int
    threads: int
    device: str
    unfused: str | None

    @classmethod
    def of(cls, planned: Plan, url: str, *, in_process: bool) -> Self:
        """Decide what is left to ``"auto"``.

        Args:
            planned: the checked study.
            url: the database.
            in_process: prefer this process, as a function from a notebook does.

        Raises:
            SpecError: the sampler cannot work with the space.
            PluginError: a rule's reference leads nowhere.
        """
        spec, trainer = planned.spec, planned.spec.trainer
        device = device_at_hand() if trainer.device == "auto" else trainer.device
        unfused = "[trainer] rows = 1" if trainer.rows == 1 else planned.unfused(device)
        if trainer.workers != "auto":
            workers = trainer.workers
        else:
            workers = 1 if in_process or device != "cpu" or not unfused else _cores()
            workers = min(workers, spec.budget.trials or workers)
        if trainer.threads != "auto":
            threads = trainer.threads
        else:
            threads = 1 if unfused else max(1, _cores() // workers)
        if unfused:
            rows = 1
        elif trainer.rows != "auto":
            rows = trainer.rows
        else:
            # A row alone is nearly as fast as one of many, and the sampler knows more of earlier trials.
            rows = max(FEWEST_ROWS, threads)
        kind = trainer.executor
        if kind == "auto":
            kind = "inline" if workers == 1 else "processes"
        searcher = OptunaSearcher(spec.search_space(), spec.search, spec.goal())
        rules = callbacks.build(spec)
        return cls(planned, url, searcher, rules, kind, workers, rows, threads, device, unfused)

    @property
    def models(self) -> Path:
        """Where kept models lie: beside an SQLite file, else in the working folder."""
        file = self.url.removeprefix("sqlite:///").split("?")[0]
        folder = Path(file).parent if self.url.startswith("sqlite") else Path()
        return folder.resolve() / "tuner_models" / quote(self.planned.spec.name, safe=" ")

    @property
    def notes(self) -> list[str]:
        """What was done to the data and what runs where, for the terminal and the store."""
        if self.kind == "inline":
            runs = f"in this process on {self.device}, {_count(self.threads, 'thread')}"
        else:
            each = _count(self.threads, "thread")
            runs = f"{_count(self.workers, 'worker')} on {self.device}, {each} each"
        how = f"one trial at a time: {self.unfused}" if self.unfused else f"{self.rows} fused trials at once"
        return [
            *(self.planned.data.notes if self.planned.data is not None else ()),
            f"runs: {runs}",
            f"trains: {how}",
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """What the store keeps of the run beside the spec."""
        machine = f"{platform.system()} {platform.machine()}, {_cores()} cores"
        place = {"device": self.device, "executor": self.kind, "workers": self.workers, "rows": self.rows}
        return {**place, "machine": machine, "python": platform.python_version(), "notes": self.notes}

    def drive(self, database: Database, store: StudyStore, observer: Observer | None) -> None:
        """Run the engine until the study ends, and let go of the study whatever happens."""
        spec = self.planned.spec
        try:
            if observer is not None:
                observer.begin(spec, self.notes)
            seconds = database.study(spec.name).seconds
            records, curves = database.records(spec.name), database.curves(spec.name)
            # The engine closes the executor; nothing may come between.
            engine = Engine(
                searcher=self.searcher,
                executor=self._executor(),
                store=store,
                callbacks=self.rules,
                objective=spec.goal(),
                budget=spec.limits(),
                keep=spec.trainer.keep,
                models=self.models,
                max_failures=spec.stop.max_failures,
                study_seed=spec.search.seed,
                observer=observer,
            )
            engine.run(records, curves, seconds)
        finally:
            store.close()

    def _executor(self) -> Executor:
        planned, trainer = self.planned, self.planned.spec.trainer
        job = Job(planned.spec, planned.data, self.device, self.rows, self.threads)
        if self.kind == "inline":
            return executors.Inline(planned.make, job, self.models)
        return executors.Processes(
            planned.make,
            job,
            self.models,
            workers=self.workers,
            threads=self.threads,
            restarts=trainer.restarts,
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
