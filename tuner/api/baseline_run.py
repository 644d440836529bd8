"""BaselineRun: the process that trains baselines while the trials train (`trainers.baseline_serving`).

It has a low priority and one thread, so that the search keeps the processor. That of a new study starts
before its data are loaded, and what it says of the search is taken after the confirmation, so that its
imports and its trees, two seconds each, are not waited for. What has not come a while later is left out, and
trained when the study goes on. It ends with this process, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import cloudpickle
import numpy as np

from tuner import child_process
from tuner.api.planning import PreparedStudy, prepare
from tuner.core.baseline import ALL, Baseline
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

_LOG = logging.getLogger(__name__)


class BaselineProcess:
    """The process, from its start to its end."""

    def __init__(self) -> None:
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process, self.line = child_process.start(
            "tuner.trainers.baseline_serving",
            subprocess.DEVNULL,
            child_process.environment(threads=1),
            [self._payload],
        )

    def order(self, order: bytes) -> None:
        """Hand over a pickled `Order`, in a file, as a pipe holds little and the process may be busy."""
        start = self._payload.tell()
        end = start + self._payload.write(order)
        self._payload.flush()
        self.line.send((start, end))

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.line.close()
        self._payload.close()


class BaselineRun:
    """The baselines of a search, of a confirmation, or of both in one process; used as a context.

    Attributes:
        study: the study whose search it is.
    """

    def __init__(self, *, ahead: bool = False) -> None:
        """Args: ahead: start the process at once, as it takes seconds and is likely to be needed."""
        self.study = ""
        self._process = BaselineProcess() if ahead and not _is_off() else None
        self._began = time.monotonic()
        self._of = ""
        self._use: tuple[str, ...] = ()
        self._found: dict[str, Baseline] = {}
        self._stored = self._awaited = self._answers = 0

    @classmethod
    @contextmanager
    def of(cls, study: str) -> Iterator[BaselineRun]:
        """That of the search that has just ended, or one for a confirmation alone."""
        current = _CURRENT.get()
        if current is not None and current.study == study:
            yield current
            return
        with cls() as run:
            yield run

    def search(self, planned: PreparedStudy, stored: Mapping[str, Any]) -> None:
        """Train what a study does not have yet by its stored facts."""
        self.study = planned.spec.name
        if not is_comparable(planned):
            self._close()
            return
        self._use, self._of = planned.spec.baselines.use, identity(planned)
        if stored.get(ALL, {}).get("of") == self._of:
            self._found = {each.kind: each for each in Baseline.all_of(stored)}
            self._stored = len(self._found)
        if kinds := tuple(kind for kind in self._use if kind not in self._found):
            self._order(Order(planned.job(1, Resources()), kinds), len(kinds))

    def confirm(self, planned: PreparedStudy, use: Sequence[str], repeats: int) -> None:
        """Train them on what the repeats of a confirmation train on.

        Args:
            planned: the study of the repeats.
            use: what the confirmed study asks for; none where there is no test.
            repeats: how many splits there are.
        """
        self._answers = 0
        if use and is_comparable(planned):
            self._order(Order(planned.job(1, Resources()), tuple(use), repeats), 0)
            self._answers = len(use)

    def keep(self, database: Database, *, waits: bool = True) -> None:
        """Store those of the search, as far as they come in time, or are done where it does not wait."""
        end = self._patience() if waits else 0.0
        while self._awaited and self._next(end) is not None:
            pass
        if len(self._found) > self._stored:
            self._stored = len(self._found)
            found = [self._found[kind].to_table() for kind in self._use if kind in self._found]
            database.add_facts(self.study, {ALL: {"of": self._of, "found": found}})

    def is_ready(self) -> bool:
        """Whether all of a confirmation are trained; waits for them."""
        end = self._patience()
        found = self._next(end) if self._answers else None
        while isinstance(found, Baseline):
            found = self._next(end)
        return isinstance(found, Fitted)

    def judged(self, rows: Any, truth: Any) -> list[Trained]:
        """What those of a confirmation say of unlocked rows, once they are ready."""
        if self._process is None:
            return []
        self._process.line.send(Unlocked(rows, truth))
        end = self._patience()
        return [each for _ in range(self._answers) if isinstance(each := self._next(end), Trained)]

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)
        self._close()

    def _close(self) -> None:
        process, self._process, self._awaited = self._process, None, 0
        if process is not None:
            process.close()

    def _order(self, order: Order, answers: int) -> None:
        """Have it trained by the process, or by a new one."""
        try:
            text = cloudpickle.dumps(order)
        except Exception as error:  # noqa: BLE001 - no study fails for what stands beside it
            _LOG.warning("the baselines were not trained: their data cannot be sent: %s", error)
            return
        self._began = time.monotonic()
        try:
            self._process = self._process or BaselineProcess()
            self._process.order(text)
            self._awaited += answers
        except OSError as error:
            _LOG.warning("the baselines were not trained: %s", error)
            self._close()

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
            self._close()
            return None
        if isinstance(found, Baseline):
            self._found[found.kind] = found
            self._awaited -= 1
        return found


_CURRENT: ContextVar[BaselineRun | None] = ContextVar("baselines", default=None)
"""That of the search that this command runs."""


def complete(database: Database, name: str, stored: Mapping[str, Any], spec: StudySpec, data: Any) -> None:
    """Train the baselines that a study lacks whose trials are done, as its process was killed before."""
    known = {each.kind for each in Baseline.all_of(stored)}
    if spec.trainer.use not in _TRAINERS or known.issuperset(spec.baselines.use) or _is_off():
        return
    try:
        planned = prepare(spec, data, None, name)
    except TunerError as error:
        _LOG.info("%s: the baselines were not trained: %s", name, error)
        return
    with BaselineRun() as baselines:
        baselines.search(planned, stored)
        baselines.keep(database)


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
