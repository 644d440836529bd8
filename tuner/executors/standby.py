"""Standby: worker processes that import a study's training loop while the study is being planned.

A loop of one's own may import frameworks for seconds. The workers need them; the process that plans the study
does not, and asks the first worker what it has to know of the loop. `api.planning` starts them, and
`Processes` takes them over.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any, Self

import cloudpickle

from tuner.child_process import environment
from tuner.errors import PluginError
from tuner.executors.serving import Broken
from tuner.executors.worker_process import WorkerProcess


class Standby:
    """Worker processes before there is an executor; none until `load`.

    Attributes:
        payload: what they will serve, see `serving.serve`; written by the executor.
    """

    def __init__(self) -> None:
        # Without a name, so that nothing is left behind however this process ends.
        self.payload = tempfile.TemporaryFile()  # noqa: SIM115
        self._workers: list[WorkerProcess] = []
        self._threads = 0
        self._use = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()
        self.payload.close()

    def load(self, use: str, make: Callable[[], object], workers: int, threads: int) -> None:
        """Start workers, which call `make`; waits for none of them.

        Args:
            use: what is loaded, for messages.
            make: imports the trainer.
            workers: how many processes.
            threads: of each one's numerical libraries.
        """
        self._use, self._threads = use, threads
        load = cloudpickle.dumps(make)
        for _ in range(workers):
            worker = WorkerProcess.start(None, self.payload, environment(threads))
            self._workers.append(worker)
            worker.send(load)

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What the first worker answers to a question about what it has loaded.

        Raises:
            PluginError: it cannot be loaded; or what else `make` or the question raised.
        """
        worker = self._workers[0]
        worker.send(cloudpickle.dumps(question))
        try:
            answer: Any = worker.recv()
        except (EOFError, OSError):
            printed = worker.tail()
            last = f"the last line of output: {printed.splitlines()[-1]}" if printed else "it printed nothing"
            raise PluginError(f"{self._use}: the process that imports it {worker.ending()}; {last}") from None
        if isinstance(answer, Broken):
            raise answer.exception()
        return answer

    def take(self, index: int, threads: int) -> WorkerProcess | None:
        """A worker with so many threads, from now on the one of this index; None: there is none."""
        if not self._workers or threads != self._threads:
            return None
        worker = self._workers.pop(0)
        worker.send(index)
        return worker

    def dismiss(self) -> None:
        """End the workers that were not taken."""
        for worker in self._workers:
            worker.kill()
            worker.close(0.0)
        self._workers.clear()
