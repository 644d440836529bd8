"""WorkerHost: the Ray actor of one worker; it keeps a worker process beside it and passes on what is said.

Training runs in that process, by the loop that serves a pipe, so that the actor lives to tell how it ended,
may watch it, and ends it with itself. Ray is not imported here.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.artifacts import Artifacts, mirror
from tuner.child_process import environment
from tuner.core.events import Reported, Restarted
from tuner.core.ports import Placement
from tuner.core.trial import Stop
from tuner.executors.limits import Limits, Watched, end
from tuner.executors.orders import Orders, Removal
from tuner.executors.serving import Answer
from tuner.executors.worker_process import WorkerProcess
from tuner.trainers.scratch import ScratchFolder

_END_S = 1.0


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What a host passes on.

    Attributes:
        answer: the worker's; None: it is gone.
        ending: how it ended, in words.
        tail: the end of what it has printed.
        files: what has changed of its trials, where the study's folder is not seen here.
        is_shared: whether it is.
    """

    answer: Answer | None
    ending: str = ""
    tail: str = ""
    files: Sequence[mirror.CarriedFile] = ()
    is_shared: bool = False


class WorkerHost:
    """One worker on a node of the cluster."""

    def __init__(
        self,
        payload: bytes,
        files: Artifacts,
        token: tuple[str, str] | None,
        threads: int,
        folder: str,
        path: Sequence[str],
    ) -> None:
        """Start the worker process.

        Args:
            payload: of `serving.serve`.
            files: the study's, where its driver has them.
            token: of `mirror.token`; None: nothing is taken for shared.
            threads: of the numerical libraries.
            folder: the driver's working folder; the worker's, too, where it is there.
            path: where the driver looks for modules.
        """
        _enter(folder, path)
        self._scratch = ScratchFolder()
        folder_here: str | None = None
        self._outbox: mirror.Outbox | None = None
        if token is None or not mirror.is_shared(*token):
            folder_here = str(self._scratch())
            here = mirror.files_in(files, Path(folder_here))
            here.mark()
            self._outbox = mirror.Outbox(here)
        self._files = files if self._outbox is None else here
        self._watched = Watched()
        self._numbers: set[int] = set()
        with tempfile.TemporaryFile() as file:
            file.write(payload)
            file.flush()
            self._worker = WorkerProcess.start(0, file, environment(threads), folder_here)

    def begin(self) -> HostAnswer:
        """Wait until the worker is ready."""
        return self._answer()

    def exchange(self, orders: bytes, files: Sequence[mirror.CarriedFile]) -> HostAnswer:
        """Pass on orders (pickled, so that it is done once), and what came of them."""
        told: Orders = pickle.loads(orders)  # noqa: S301
        placed = {step.trial.number for step in told.steps if isinstance(step, Placement)}
        self._numbers |= placed | {step.number for step in told.steps if isinstance(step, Removal)}
        if self._outbox is not None:
            self._outbox.receive(placed, files)
        self._worker.send(told)
        return self._answer()

    def finish(self) -> HostAnswer:
        """Let the worker write checkpoints and end."""
        self._worker.send(None)
        self._worker.close(_END_S)
        changed = self._changed()
        self._scratch.close()
        return HostAnswer(None, files=changed)

    def watch(self, limits: Limits | None, trials: int, number: int) -> Stop | None:
        """Why the worker's trials end now, if one is beyond a limit; also a sign of life."""
        log = self._files.log(number)
        return None if limits is None else limits.broken(self._worker.process.pid, trials, log, self._watched)

    def end(self) -> None:
        """End the worker at once, with all that it has started; the answer that is awaited says so."""
        end(self._worker.process.pid)

    def _answer(self) -> HostAnswer:
        try:
            answer = self._worker.recv()
        except (EOFError, OSError):
            ending, tail = self._worker.ending(), self._worker.tail()
            last = HostAnswer(None, ending, tail, self._changed(), self._outbox is None)
            self._scratch.close()
            return last
        files = self._changed()
        for event in (event for tick in (answer if isinstance(answer, list) else ()) for event in tick):
            if not isinstance(event, Reported | Restarted):
                self._numbers.discard(event.number)
                if self._outbox is not None:
                    self._outbox.forget(event.number)
        return HostAnswer(answer, "", self._worker.tail(), files, self._outbox is None)

    def _changed(self) -> list[mirror.CarriedFile]:
        if self._outbox is None:
            return []
        return [file for number in sorted(self._numbers) for file in self._outbox.changed(number)]


def _enter(folder: str, path: Sequence[str]) -> None:
    """Be in the driver's working folder and look for modules where it does, as far as these are here."""
    with suppress(OSError):
        os.chdir(folder)
    sys.path += [each for each in path if each not in sys.path and Path(each).exists()]
