"""What executors emit: epochs reported, trials that ended, paused, failed or were interrupted."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.core.trial import Reading, Stop


@dataclass(frozen=True, slots=True)
class Reported:
    """One more epoch of a trial."""

    number: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class SaveFailure:
    """Why a trial's model could not be written; its values stand.

    Attributes:
        error: one line.
        traceback: the whole text.
    """

    error: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The trainer has trained the trial to its end.

    Attributes:
        model_path: the folder of the best epoch's model, when one was written.
        save_failure: why none was, where one was to be.
    """

    number: int
    model_path: str | None = None
    save_failure: SaveFailure | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The trial has left its row, as it was ordered to, or by itself; see `Finished`.

    Attributes:
        why: what ended it, where that was no order.
    """

    number: int
    model_path: str | None = None
    save_failure: SaveFailure | None = None
    why: Stop | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """The trial has left its row for now, as it was ordered to; its checkpoint is written. See `Finished`."""

    number: int
    model_path: str | None = None
    save_failure: SaveFailure | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The trial raised or its worker died too often.

    Attributes:
        error: one line.
        traceback: the whole text, for `tune show`.
    """

    number: int
    error: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The trial's worker died; it goes on from its last checkpoint, and its readings stand."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The trial starts again from its first epoch, under its number, for it did not come out as before.

    What it reported before is void.
    """

    number: int
    reason: str


Event = Reported | Finished | Stopped | Paused | Failed | Interrupted | Restarted
