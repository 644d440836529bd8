"""SessionBatch: rows that hold one `TrialSession` each, so that executors see a batch of any trainer.

Trains its rows one after another, in the thread that calls it. Turns what a session raises into a
Failure, the only place where that is done.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, SessionTrainer, Snapshot, TrialSession
from tuner.core.trial import Trial
from tuner.errors import DeviceError

_LOG = logging.getLogger(__name__)


class SessionBatch:
    """`job.rows` rows; a `TrialBatch`."""

    def __init__(self, trainer: SessionTrainer, job: Job) -> None:
        self._trainer, self._job = trainer, job
        self._rows: dict[int, TrialSession | Failure] = {}

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return self._job.rows

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start a session, or go on with one."""
        if not 0 <= row < self.capacity or row in self._rows:
            raise ValueError(f"row {row} is not an empty row of this batch")
        try:
            self._rows[row] = self._trainer.start(self._job, trial, snapshot)
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - even a sys.exit() ends its trial, not the worker
            self._rows[row] = Failure.of(error)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train one epoch of each row."""
        return {row: self._advanced(row) for row in sorted(self._rows) if rows is None or row in rows}

    def save(self, row: int, folder: Path) -> bool:
        """See `TrialSession.save`."""
        session = self._session(row)
        return session is not None and session.save(folder)

    def snapshot(self, row: int) -> Snapshot | None:
        """See `TrialSession.snapshot`; None of a row that is empty or failed."""
        session = self._session(row)
        return None if session is None else session.snapshot()

    def clear(self, row: int) -> None:
        """Close the row's session."""
        session = self._rows.pop(row, None)
        if session is not None and not isinstance(session, Failure):
            _close(session)

    def _session(self, row: int) -> TrialSession | None:
        session = self._rows.get(row)
        return None if isinstance(session, Failure) else session

    def _advanced(self, row: int) -> Outcome:
        session = self._rows[row]
        if isinstance(session, Failure):
            return session
        try:
            outcome = session.next()
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001
            outcome = Failure.of(error)
        if isinstance(outcome, Failure):
            _close(session)
            self._rows[row] = outcome
        return outcome


def _close(session: TrialSession) -> None:
    try:
        session.close()
    except (DeviceError, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001
        _LOG.warning("a trial raised while it was closed", exc_info=True)
