"""BaselineRun: the process that trains baselines while the trials train (`trainers.baseline_serving`).

It has a low priority and one thread, so that the search keeps the processor. Its results are taken when the
trials are done; what has not come a while later is left out, and trained when the study goes on. It
ends with this process, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.connection import Pipe
from typing import Any, Self

import cloudpickle
import numpy as np

from tuner.api.specify import PreparedStudy, prepare
from tuner.core.baseline import ALL, Baseline
from tuner.core.dataset import Task
from tuner.core.job import Resources
from tuner.core.spec import StudySpec
from tuner.errors import TunerError
from tuner.store import Database
from tuner.trainers.baseline_messages import Fitted, Order, Trained, Unlocked

SWITCH = "TUNER_BASELINES"
"""The environment variable that turns them off for all studies: ``off``."""

PATIENCE_S = 30.0
"""They are waited for as long as the trials have trained, or so long if that is longer."""

_TRAINERS = ("torch", "sklearn")
"""What these report can be compared with a baseline; the numbers of others may mean anything."""

# SIGINT goes to the whole group of processes; what it means is the parent's decision.
_BOOT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
_BOOT += "from tuner.trainers.baseline_serving import serve; serve({wire}, {payload})"

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

_LOG = logging.getLogger(__name__)


class BaselineProcess:
    """The process, from its first order to its end."""

    def __init__(self, order: bytes) -> None:
        self.line, theirs = Pipe()
        with tempfile.TemporaryFile() as payload, theirs:
            payload.write(order)
            payload.flush()
            handles = (theirs.fileno(), payload.fileno())
            code = _BOOT.format(path=[str(path) for path in sys.path], wire=handles[0], payload=handles[1])
            nothing = subprocess.DEVNULL
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=nothing,
                stdout=nothing,
                stderr=nothing,
                pass_fds=handles,
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
            )

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.line.close()


_IDLE: ContextVar[list[BaselineProcess] | None] = ContextVar("idle", default=None)
"""Within `one_process`: what has done its part and may be given more."""


@contextmanager
def one_process() -> Iterator[None]:
    """Let a search and the confirmation that follows it share a process, since it takes seconds to start."""
    idle: list[BaselineProcess] = []
    token = _IDLE.set(idle)
    try:
        yield
    finally:
        _IDLE.reset(token)
        for process in idle:
            process.close()


class BaselineRun:
    """The baselines of a study in training; empty where nothing is to be trained.

    Used as a context: at its end the process is over, but for `one_process`.
    """

    def __init__(self, order: Order | None) -> None:
        self._kinds = order.kinds if order is not None else ()
        self._awaited = 0
        self._began = time.monotonic()
        self._process = self._ordered(order) if order is not None else None

    @classmethod
    def search(cls, planned: PreparedStudy, stored: Mapping[str, Any]) -> Self:
        """Train what a study does not have yet.

        Args:
            planned: the study.
            stored: its facts.
        """
        kinds: tuple[str, ...] = planned.spec.baselines.use if is_comparable(planned) else ()
        if kinds and stored.get(ALL, {}).get("of") == identity(planned):
            known = {each.kind for each in Baseline.all_of(stored)}
            kinds = tuple(kind for kind in kinds if kind not in known)
        return cls(Order(planned.job(1, Resources()), kinds) if kinds else None)

    @classmethod
    def confirmation(cls, planned: PreparedStudy, use: Sequence[str], repeats: int) -> Self:
        """Train them on what the repeats of a confirmation train on.

        Args:
            planned: the study of the repeats.
            use: what the confirmed study asks for; none where there is no test.
            repeats: how many splits there are.
        """
        is_one = planned.data is not None and planned.data.task is not Task.MULTILABEL
        kinds = tuple(use) if is_comparable(planned) and is_one else ()
        return cls(Order(planned.job(1, Resources()), kinds, repeats) if kinds else None)

    def found(self) -> list[Baseline]:
        """Those of a search, as far as they come in time."""
        self._awaited = len(self._kinds)
        end = self._patience()
        return [each for _ in self._kinds if isinstance(each := self._next(end), Baseline)]

    def is_ready(self) -> bool:
        """Whether all of a confirmation are trained; waits for them."""
        self._awaited = 1
        return bool(self._kinds) and isinstance(self._next(self._patience()), Fitted)

    def judged(self, rows: Any, truth: Any) -> list[Trained]:
        """What those of a confirmation say of unlocked rows, once they are ready."""
        if self._process is None:
            return []
        self._process.line.send(Unlocked(rows, truth))
        self._awaited = len(self._kinds)
        end = self._patience()
        return [each for _ in self._kinds if isinstance(each := self._next(end), Trained)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        process, self._process, idle = self._process, None, _IDLE.get()
        if process is None:
            return
        if kind is None and idle is not None and self._awaited == 0:
            idle.append(process)
        else:
            process.close()

    def _ordered(self, order: Order) -> BaselineProcess | None:
        """A process that has the order."""
        # Until its answers are taken it is not idle.
        self._awaited = 1
        try:
            text = cloudpickle.dumps(order)
        except Exception as error:  # noqa: BLE001 - no study fails for what stands beside it
            _LOG.warning("the baselines were not trained: their data cannot be sent: %s", error)
            return None
        idle = _IDLE.get()
        while idle:
            process = idle.pop()
            try:
                process.line.send_bytes(text)
            except OSError:
                process.close()
            else:
                return process
        return BaselineProcess(text)

    def _patience(self) -> float:
        """Until when they are waited for, on the monotonic clock."""
        now = time.monotonic()
        return now + max(now - self._began, PATIENCE_S)

    def _next(self, end: float) -> Any:
        """The next message; None where none comes until `end`."""
        if self._process is None:
            return None
        line = self._process.line
        try:
            found = line.recv() if line.poll(max(0.0, end - time.monotonic())) else None
        except (EOFError, OSError):
            _LOG.info("the process of the baselines ended early")
            return None
        self._awaited -= found is not None
        return found


def complete(database: Database, name: str, stored: Mapping[str, Any], spec: StudySpec, data: Any) -> None:
    """Train the baselines that a study lacks whose trials are done, as its process was killed before the end.

    Args:
        database: where it is stored.
        name: the study's name.
        stored: its facts.
        spec: the study.
        data: the arrays, where the study was started with them from Python.
    """
    known = {each.kind for each in Baseline.all_of(stored)}
    if spec.trainer.use not in _TRAINERS or known.issuperset(spec.baselines.use) or _is_off():
        return
    try:
        planned = prepare(spec, data, None, name)
    except TunerError as error:
        _LOG.info("%s: the baselines were not trained: %s", name, error)
        return
    with BaselineRun.search(planned, stored) as baselines:
        if found := baselines.found():
            database.add_facts(name, fact(planned, stored, found))


def is_comparable(planned: PreparedStudy) -> bool:
    """Whether a study's trials can be compared with baselines, and they are not turned off."""
    is_known = planned.data is not None and planned.spec.trainer.use in _TRAINERS
    return is_known and not _is_off()


def _is_off() -> bool:
    return os.environ.get(SWITCH) == "off"


def identity(planned: PreparedStudy) -> str:
    """What the numbers of the baselines follow from: the rows, and how trials are judged."""
    spec, data = planned.spec, planned.data
    keys = (
        "use", "model", "loss", "score", "score_direction", "quantile", "class_weight", "threshold",
        "settings",
    )  # fmt: skip
    trainer = {key: value for key, value in spec.trainer.model_dump(mode="json").items() if key in keys}
    rows = spec.data.model_dump(mode="json") if spec.data is not None else None
    told = {"data": rows, "trainer": trainer, "seed": spec.search.seed}
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for split in () if data is None else (data.train, data.validation):
        for array in (split.x, split.y, split.weight):
            found.update(b"" if array is None else np.ascontiguousarray(array).data)
    return found.hexdigest()


def fact(planned: PreparedStudy, stored: Mapping[str, Any], found: Sequence[Baseline]) -> dict[str, Any]:
    """All baselines of a study, those that it had and those that were found, for its facts."""
    of = identity(planned)
    known = Baseline.all_of(stored) if stored.get(ALL, {}).get("of") == of else ()
    by_kind = {each.kind: each.to_table() for each in (*known, *found)}
    return {ALL: {"of": of, "found": [by_kind[k] for k in planned.spec.baselines.use if k in by_kind]}}
