"""DatabaseReads: what is read of the studies in a database; `database` writes, `columns` follows writers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from tuner.artifacts import Artifacts
from tuner.content import models_root
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Reading, TrialRecord
from tuner.errors import StoreError, StudyNotFound, near
from tuner.store import artifact_folders, comments, read
from tuner.store.connect import store_errors
from tuner.store.curves import ended, further, of_all
from tuner.store.records import each_curve, records
from tuner.store.schema import studies, tuner_fingerprints, tuner_studies, version
from tuner.store.values import SpecRevision, StoredConfirmation, StudySummary


class DatabaseReads:
    """Studies in one database, beside whatever plain Optuna keeps there, to be read.

    Attributes:
        location: the database, for messages.
    """

    def __init__(self, location: str, models: str | Path | None = None) -> None:
        """Nothing is read yet; `models` is the folder for the models of all studies, where it was said."""
        self.location = location
        self._root = models_root(models)
        self._moment: Connection | None = None
        self._known: dict[str, int] | None = None  # the ids of that moment

    def studies(self) -> list[StudySummary]:
        """Every study of ours, the newest first."""
        with self._reading() as connection:
            ids = self._ids(connection)
            return read.summaries(connection, ids) if ids else []

    def names(self) -> set[str]:
        """The names of all studies, those of plain Optuna too."""
        with self._reading() as connection:
            return set(connection.scalars(select(studies.c.study_name)))

    def study(self, name: str, records: Sequence[TrialRecord] | None = None) -> StudySummary:
        """The summary of a study; `records` are its trials, where they were read already.

        Raises:
            StudyNotFound: no study has that name; lists similar names.
        """
        with self._reading() as connection:
            return read.summaries(connection, {name: self._id(connection, name)}, records)[0]

    def standing(self, name: str) -> tuple[float, Mapping[str, Any]]:
        """How many seconds a study has taken, and its executor's state; see `StudySummary`."""
        with self._reading() as connection:
            mine = tuner_studies.c.study_id == self._id(connection, name)
            columns = select(tuner_studies.c.seconds, tuner_studies.c.position)
            row = connection.execute(columns.where(mine)).one()
            return row.seconds, json.loads(row.position or "{}")

    def records(self, name: str, *, is_brief: bool = False) -> list[TrialRecord]:
        """Every trial of a study in the order of numbers; of those not over, as far as they are.

        Args:
            name: the study.
            is_brief: of trials that are over, read the best epoch of the default and of the best one by
                value alone; the attributes of all take as long as everything else.
        """
        with self._reading() as connection:
            return records(connection, self._id(connection, name), self._root, is_brief=is_brief)

    def curves(
        self, name: str, number: int | None = None, *, is_over: bool | None = None
    ) -> dict[int, list[Reading]]:
        """Readings in the order of epochs, by trial number; trials without any are left out.

        Args:
            name: the study.
            number: of this trial only.
            is_over: of trials that are over only, or of those that are not.
        """
        with self._reading() as connection:
            return dict(each_curve(connection, self._id(connection, name), number, is_over=is_over))

    def readings(self, name: str, names: Sequence[str] = ()) -> ReadingColumns:
        """Every reading of a study as columns, sorted by trial and epoch.

        Args:
            name: the study.
            names: numbers to be read beside those that every reading has, and the trainer's own.
        """
        with self._reading() as connection:
            study_id = self._id(connection, name)
            return of_all(connection, study_id, further(connection, study_id, names))

    def each_ended(self, name: str) -> Iterator[tuple[int, list[Reading]]]:
        """Number and readings of each trial that is over, one at a time."""
        with self._reading() as connection:
            yield from each_curve(connection, self._id(connection, name), is_over=True)

    def ended_readings(self, name: str, extras: Sequence[str] = ()) -> Iterator[ReadingColumns]:
        """The curves of the trials that are over as columns, many trials at a time.

        Args:
            name: the study.
            extras: numbers of one's own to be read beside those that every reading has.
        """
        with self._reading() as connection:
            yield from ended(connection, self._id(connection, name), extras)

    def comments(self, name: str) -> dict[int | None, str]:
        """Comments by trial number; None: on the study."""
        with self._reading() as connection:
            return comments.read(connection, self._id(connection, name))

    def specs(self, name: str) -> list[SpecRevision]:
        """Every spec that a study has had, the first one first."""
        with self._reading() as connection:
            return read.specs(connection, self._id(connection, name))

    def fingerprint(self, name: str) -> bytes | None:
        """The fingerprint of a study's data; None where there is none."""
        with self._reading() as connection:
            mine = tuner_fingerprints.c.study_id == self._id(connection, name)
            return connection.scalar(select(tuner_fingerprints.c.fingerprint).where(mine))

    def confirmations(self, name: str) -> list[StoredConfirmation]:
        """Every confirmation of a study, the first one first."""
        with self._reading() as connection:
            return read.confirmations(connection, self._id(connection, name))

    def confirmed(self, name: str) -> Mapping[str, Any] | None:
        """The result of a study's last confirmation; None where it was never confirmed.

        Its `model_path` is the folder of the recommended model, whether or not that is still there.
        """
        with self._reading() as connection:
            return read.confirmed(connection, self._id(connection, name), self._root)

    def artifacts(self, name: str) -> Artifacts:
        """The files of a study, to be read."""
        with self._reading() as connection:
            return artifact_folders.artifacts(connection, self._id(connection, name), self._root)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Everything read within is of one moment: it shares one transaction."""
        with self._reading() as connection:
            self._moment = connection
            try:
                yield
            finally:
                self._moment = self._known = None

    def _transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that reads."""
        raise NotImplementedError

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One transaction, so that everything read in it is of one moment."""
        if self._moment is not None:
            yield self._moment
            return
        try:
            with store_errors(self.location), self._transaction() as connection:
                yield connection
        except ValueError as error:
            raise StoreError(f"{self.location}: is damaged ({error}); restore a copy") from error

    def _ids(self, connection: Connection) -> dict[str, int]:
        known = self._known
        if known is None:
            known = read.study_ids(connection) if version(connection) is not None else {}
        if self._moment is not None:
            self._known = known
        return known

    def _id(self, connection: Connection, name: str) -> int:
        ids = self._ids(connection)
        if name not in ids:
            raise StudyNotFound(f"{self.location}: no study '{name}'; {near(name, ids)}")
        return ids[name]
