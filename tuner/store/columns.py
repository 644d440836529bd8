"""Columns: incremental, read-only reads of a study's new rows, from a cursor that the reader hands back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, and_, or_, select

from tuner.artifacts import log_tail
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Reading
from tuner.errors import StoreError, StudyNotFound
from tuner.store import artifact_folders, curves, read
from tuner.store.connect import backend_of, connect, display_url, file_of, parse, reader, store_errors
from tuner.store.curves import Last
from tuner.store.database_reads import DatabaseReads
from tuner.store.schema import OVER, VERSION, tuner_epochs, tuner_studies, tuner_trials, version
from tuner.store.temporary_copy import state, temporary_copy
from tuner.store.values import StudySummary


class TrialRow(NamedTuple):
    """A trial as it is stored; `model_path` is the whole path from `Reader.trial`, else only None or not."""

    trial_id: int
    number: int
    params: Mapping[str, Any]
    state: str
    value: float | None
    best_epoch: int | None
    epochs: int
    conclusive: bool
    rule: str | None
    reason: str | None
    seconds: float
    interruptions: int
    model_path: str | None
    started_at: str | None
    ended_at: str | None
    origin: str


_ROW = tuple(tuner_trials.c[name] for name in TrialRow._fields)


@dataclass(slots=True)
class Cursor:
    """How far a study has been read.

    Attributes:
        study: its id, and when it was created; another study of the same name has another one.
        extras: the numbers that were read beside `NUMBERS`.
        last: the highest number of a trial seen; one that plain Optuna has enqueued may have a lower id.
        open: trials that were not over: row as it stood, and the last reading. When that one is
            another at the next read, the trial has started again.
    """

    study: tuple[int, str]
    extras: tuple[str, ...] = ()
    last: int = -1
    open: dict[int, tuple[TrialRow, Last | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delta:
    """The new and changed rows of a study.

    Attributes:
        is_whole: everything that was known before is void.
        trials: new and changed trials in the order of numbers.
        void: numbers of trials whose earlier readings are void.
        readings: the readings, sorted by trial and epoch: `NUMBERS` and the further ones asked for.
        cursor: for the next read.
    """

    is_whole: bool
    trials: Sequence[TrialRow]
    void: Sequence[int]
    readings: ReadingColumns
    cursor: Cursor

    def __bool__(self) -> bool:
        return bool(self.is_whole or self.trials or self.void or len(self.readings.number))


class Reader(DatabaseReads):
    """Reads a database that other processes write, and that may appear, vanish or be replaced meanwhile.

    Safe to use from several threads, one at a time gets in. Every read raises StudyNotFound where there is no
    such file or study, and StoreError where it cannot be read or a later tuner wrote it.

    Args:
        url: as `Database.open` takes it.

    Raises:
        StoreError: it is not a database URL.
    """

    def __init__(self, url: str) -> None:
        self._url = parse(url)
        super().__init__(display_url(self._url))
        self._file = file_of(self._url)
        if self._file is None:
            connect(self._url).dispose()  # reports a wrong URL at once
        self._lock = RLock()
        self._engine: Engine | None = None
        self._identity: tuple[int, ...] | None = None
        self._copy: Path | None = None

    def stamp(self) -> str:
        """A text that changes when anything may have been written; cheap enough to ask every second."""
        with self._connected() as connection:
            return f"{self._identity}.{backend_of(self._url).stamp(connection)}"

    def studies(self) -> list[StudySummary]:
        """All studies of ours except those that confirm another one, the newest first."""
        return [each for each in super().studies() if each.confirms is None]

    def confirming(self, name: str) -> StudySummary | None:
        """The confirmation of a study that a process drives now; None where there is none."""
        with self._reading() as connection:
            ids = {each: its for each, its in self._ids(connection).items() if "~confirm" in each}
            found = read.summaries(connection, ids) if ids else []
        return next((each for each in found if each.confirms == name and each.is_driven), None)

    def trial(self, name: str, number: int) -> tuple[TrialRow, str | None] | None:
        """One trial and the traceback of its failure; None where there is no such trial."""
        with self._reading() as connection:
            study_id = self._id(connection, name)
            found = connection.execute(
                select(*_ROW, tuner_trials.c.traceback).where(
                    tuner_trials.c.study_id == study_id, tuner_trials.c.number == number
                )
            ).one_or_none()
            if found is None:
                return None
            row = _row(found[:-1], from_json(found.params))
            if row.model_path is not None:
                files = artifact_folders.artifacts(connection, study_id, self._root)
                row = row._replace(model_path=str(files.path(number)))
        return row, found.traceback

    def curve(self, name: str, number: int) -> list[Reading]:
        """Every epoch's reading of one trial, with all its extras; empty where there is none."""
        return self.curves(name, number).get(number, [])

    def log(self, name: str, number: int) -> str:
        """The end of what a trial has printed; empty for nothing."""
        return log_tail(self.artifacts(name), number)

    def log_size(self, name: str, number: int) -> int:
        """How many bytes a trial has printed, as far as they are kept."""
        try:
            return self.artifacts(name).log(number).stat().st_size
        except OSError:
            return 0

    def errors(self, name: str, number: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
        """The epochs of one trial, and the standard errors of those numbers that are means.

        Returns:
            (E,) epochs, and by the number's name (E,) errors; `nan` for none, and no column of nothing.
        """
        with self._reading() as connection:
            found = connection.execute(
                select(tuner_epochs.c.epoch, tuner_epochs.c.extras)
                .join(tuner_trials, tuner_trials.c.trial_id == tuner_epochs.c.trial_id)
                .where(tuner_trials.c.study_id == self._id(connection, name), tuner_trials.c.number == number)
                .order_by(tuner_epochs.c.epoch)
            ).all()
        readings = [Reading(epoch, 0.0, 0.0, extras=curves.of_text(text)).errors for epoch, text in found]
        names = dict.fromkeys(each for errors in readings for each in errors)
        columns = {each: np.array([curves.number(errors.get(each)) for errors in readings]) for each in names}
        return np.array([epoch for epoch, _ in found], np.int64), columns

    def delta(self, name: str, cursor: Cursor | None = None, names: Sequence[str] = ()) -> Delta:
        """The rows of a study that are new since `cursor`; all without one.

        Args:
            name: the study.
            cursor: the one that the last read returned.
            names: what is searched for; these numbers are read beside `NUMBERS`, and the trainer's own.
        """
        with self._reading() as connection:
            study_id = self._id(connection, name)
            extras = curves.further(connection, study_id, names)
            created = connection.scalar(
                select(tuner_studies.c.created_at).where(tuner_studies.c.study_id == study_id)
            )
            study = (study_id, str(created))
            if cursor is None or cursor.study != study or cursor.extras != extras:
                return self._delta(connection, Cursor(study, extras), is_whole=True)
            return self._delta(connection, cursor, is_whole=False)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _delta(self, connection: Connection, cursor: Cursor, *, is_whole: bool) -> Delta:
        rows = _trials(connection, cursor)
        number_of = {row.trial_id: row.number for row in rows}
        known = {trial_id: cursor.open.get(trial_id, (None, None)) for trial_id in number_of}
        changed = [row for row in rows if row != known[row.trial_id][0]]
        void: list[int] = []
        if is_whole:
            found = curves.of_study(connection, cursor.study[0], cursor.extras)
        else:
            lasts = {trial_id: last for trial_id, (_, last) in known.items()}
            found, void = curves.behind(connection, lasts, cursor.extras)
        still_open: dict[int, tuple[TrialRow, Last | None]] = {}
        for row in rows:
            if row.state not in OVER:
                before = None if row.trial_id in void else known[row.trial_id][1]
                still_open[row.trial_id] = (row, found.last(row.trial_id) or before)
        again = [number_of[i] for i in void]
        following = Cursor(cursor.study, cursor.extras, max([cursor.last, *number_of.values()]), still_open)
        return Delta(is_whole, changed, again, found.numbered(number_of), following)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._lock, super()._reading() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._connected() as connection, connection.begin():
            found = version(connection)
            if found is None:
                raise StudyNotFound(f"{self.location}: no studies yet; begin one with `tune start`")
            if found < VERSION:
                raise StoreError(
                    f"{self.location}: its tables have version {found}; "
                    f"`tune list` brings them to version {VERSION}"
                )
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._lock, store_errors(self.location):
            self._check_file()
            if self._engine is None:
                self._copy = temporary_copy(self._url)
                self._engine = reader(self._url, self._copy or self._file)
                if self._copy is not None and self._file is not None:
                    self._identity = state(self._file)
            try:
                with self._engine.connect() as connection:
                    yield connection
            except BaseException as error:
                if not isinstance(error, StudyNotFound):
                    # What is wrong with the file may be mended behind our back.
                    self.close()
                raise

    def _check_file(self) -> None:
        """Notice that the file is gone, or is another one than before."""
        if self._file is None:
            return
        try:
            found = self._file.stat()
        except OSError as error:
            self.close()
            raise StudyNotFound(f"{self.location}: no studies yet; begin one with `tune start`") from error
        identity = (found.st_dev, found.st_ino) if self._copy is None else state(self._file)
        if self._identity != identity:
            self.close()
            self._identity = (found.st_dev, found.st_ino)


def _trials(connection: Connection, cursor: Cursor) -> list[TrialRow]:
    """New trials, and those that were open at the last read, in the order of numbers."""
    fresh = tuner_trials.c.number > cursor.last
    if cursor.open:
        ours = tuner_trials.c.trial_id.in_(cursor.open) if len(cursor.open) < 500 else (
            tuner_trials.c.trial_id >= min(cursor.open)
        )  # fmt: skip
        fresh = or_(fresh, ours)
    result = connection.execute(
        select(*_ROW)
        .where(and_(tuner_trials.c.study_id == cursor.study[0], fresh))
        .order_by(tuner_trials.c.number)
    ).cursor
    found = result.fetchall() if result is not None else []
    rows = [values for values in found if values[1] > cursor.last or values[0] in cursor.open]
    # One text is read many times faster than thousands.
    params = from_json(f"[{','.join(values[2] for values in rows)}]")
    return [_row(values, its_params) for values, its_params in zip(rows, params, strict=True)]


def _row(values: Sequence[Any], params: Mapping[str, Any]) -> TrialRow:
    return TrialRow._make((*values[:2], params, *values[3:7], bool(values[7]), *values[8:]))
