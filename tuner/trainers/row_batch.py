"""RowBatch: rows that each hold what trains one trial, or the Failure that ended it.

What the batches of sessions, of stacked rows and of compiled ones share: what a trial raises becomes its
Failure here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, Snapshot, TrialSession
from tuner.core.trial import Trial
from tuner.errors import DeviceError

_LOG = logging.getLogger(__name__)


class Savable(Protocol):
    """A trial in training."""

    def snapshot(self) -> Snapshot | None:
        """See `TrialSession.snapshot`."""

    def save(self, folder: Path) -> bool:
        """See `TrialSession.save`."""


Row = TypeVar("Row", bound=Savable)
T = TypeVar("T")


class RowBatch(Generic[Row]):
    """`job.rows` rows; a `TrialBatch` once a subclass says how trials begin, and what advances them."""

    def __init__(self, job: Job, rows: dict[int, Any] | None = None) -> None:
        """Set up empty rows, or share those of another batch, which leaves some of its trials to this one."""
        self._job = job
        self._rows: dict[int, Row | Failure] = {} if rows is None else rows

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return self._job.rows

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start a trial, or go on with it; what goes wrong with it is the next `advance`'s Failure.

        Raises:
            ValueError: the row is not empty, or there is no such row.
            DeviceError: the device failed.
        """
        if not 0 <= row < self.capacity or row in self._rows:
            raise ValueError(f"row {row} is not an empty row of this batch")
        self._rows[row] = self._attempt(self.begin, trial, snapshot)

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model; False of a row that is empty or failed, or has none."""
        placed = self._placed(row)
        return placed is not None and placed.save(folder)

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state; None of a row that is empty or failed, or has none that could be kept."""
        placed = self._placed(row)
        return None if placed is None else placed.snapshot()

    def clear(self, row: int) -> None:
        """Empty the row."""
        self._rows.pop(row, None)

    def begin(self, trial: Trial, snapshot: Snapshot | None) -> Row:
        """Set up what trains a trial."""
        raise NotImplementedError

    def _failed(self, error: BaseException) -> Failure:
        """What a trial has to say of an exception."""
        return Failure.of(error)

    def _placed(self, row: int) -> Row | None:
        placed = self._rows.get(row)
        return None if isinstance(placed, Failure) else placed

    def _attempt(self, call: Callable[..., T], *given: Any) -> T | Failure:
        """What a call gives; the trial's failure where it raises."""
        try:
            return call(*given)
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - even a sys.exit() ends its trial, not the worker
            return self._failed(error)

    def _advanced(self, row: int, session: TrialSession) -> Outcome:
        """Train a session that a row holds for one epoch."""
        outcome = self._attempt(session.next)
        if isinstance(outcome, Failure):
            close(session)
            self._rows[row] = outcome
        return outcome


def close(session: TrialSession) -> None:
    """Close a session, whose trial has come to its end whatever it raises."""
    try:
        session.close()
    except (DeviceError, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001
        _LOG.warning("a trial raised while it was closed", exc_info=True)
