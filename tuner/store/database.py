"""Database: opens a file or a server's database, lists, creates, resumes and deletes studies."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection, Engine, select

from tuner.artifacts import Artifacts
from tuner.content import models_root
from tuner.core.budget import StudyState
from tuner.core.reading_columns import ReadingColumns
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, TrialRecord
from tuner.errors import StoreError, StudyNotFound, near
from tuner.store import artifact_folders, read, study_rows
from tuner.store.connect import connect, display_url, file_of, parse, store_errors, writing
from tuner.store.creation import create_file, ensure
from tuner.store.curves import NUMBERS, ended, of_all
from tuner.store.encoding import now, stamp
from tuner.store.lease import Lease
from tuner.store.migrations import migrate, take_over
from tuner.store.records import each_curve, records
from tuner.store.relocation import home_of
from tuner.store.schema import studies, tuner_fingerprints, tuner_studies, version
from tuner.store.temporary_copy import temporary_copy
from tuner.store.values import SpecRevision, StoredConfirmation, StudySummary
from tuner.store.write import StudyStore, cut_off, show_open


class Database:
    """Studies in one database, beside whatever plain Optuna keeps there.

    Tables of an earlier version are brought to this one's when the database is opened.
    """

    def __init__(self, engine: Engine, models: str | Path | None = None) -> None:
        self._engine = engine
        self._root = models_root(models)
        self._is_said = bool(models)
        self._where = display_url(engine.url)
        self._moment: Connection | None = None

    @classmethod
    def open(cls, url: str, *, create: bool = False, models: str | Path | None = None) -> Database:
        """Open a database.

        Args:
            url: an SQLAlchemy URL, or a path that ends in ``.db``.
            create: create an SQLite file, Optuna's tables and ours where they are missing.
            models: the folder for the models of all studies, where it was said.

        Raises:
            SpecError: that is not a folder.
            StudyNotFound: there is no such file, so no study either.
            StudyLocked: its tables are of an earlier version, and a tuner of that version drives a study.
            StoreError: it is not a database that can be used.
        """
        parsed = parse(url)
        file = file_of(parsed)
        if file is not None and not file.exists():
            if not file.parent.is_dir():
                where = display_url(parsed)
                raise StoreError(f"{where}: the folder {file.parent} does not exist; create it first")
            if not create:
                raise StudyNotFound(f"{display_url(parsed)}: no studies yet; begin one with `tune start`")
            create_file(parsed)
        copy = None if create else temporary_copy(parsed)
        engine = connect(parsed, copy=copy)
        try:
            if create:
                ensure(engine)
            migrate(engine)
            take_over(engine, moves=copy is None)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, models)

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
            names: numbers of one's own to be read beside those that every reading has.
        """
        extras = [each for each in names if each not in (*NUMBERS, "gap")]
        with self._reading() as connection:
            return of_all(connection, self._id(connection, name), extras)

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

    def specs(self, name: str) -> list[SpecRevision]:
        """Every spec that a study has had, the first one first."""
        with self._reading() as connection:
            return read.specs(connection, self._id(connection, name))

    def fingerprint(self, name: str) -> bytes | None:
        """The fingerprint of a study's data; None where there is none."""
        with self._reading() as connection:
            mine = tuner_fingerprints.c.study_id == self._id(connection, name)
            return connection.scalar(select(tuner_fingerprints.c.fingerprint).where(mine))

    def keep_fingerprint(self, name: str, fingerprint: bytes) -> None:
        """Store the fingerprint of a study's data."""
        with store_errors(self._where), writing(self._engine).begin() as connection:
            study_rows.keep_fingerprint(connection, self._id(connection, name), fingerprint)

    def add_facts(self, name: str, changes: Mapping[str, Any]) -> None:
        """Add facts about a study that no process drives; see `StudyStore.facts`."""
        with store_errors(self._where), writing(self._engine).begin() as connection:
            study_rows.add_facts(connection, self._id(connection, name), changes)

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

    def begin_confirmation(self, name: str, command: str, *, opened: bool) -> StoredConfirmation:
        """Note that a confirmation judges now, before the test split is read.

        One that was cut off goes on under its own number, and stays as it was noted. `opened` says whether
        the locked test split is about to be read.
        """
        with store_errors(self._where), writing(self._engine, full=True).begin() as connection:
            study_id = self._id(connection, name)
            return study_rows.begin_confirmation(connection, study_id, command, opened=opened)

    def end_confirmation(self, name: str, number: int, result: Mapping[str, Any]) -> None:
        """Store the result of a confirmation; a stored result stays."""
        with store_errors(self._where), writing(self._engine, full=True).begin() as connection:
            study_rows.end_confirmation(connection, self._id(connection, name), number, result)

    def artifacts(self, name: str) -> Artifacts:
        """The files of a study, to be read."""
        with self._reading() as connection:
            return artifact_folders.artifacts(connection, self._id(connection, name), self._root)

    def keep_models(self, name: str, numbers: Collection[int]) -> None:
        """Delete all models but those of these trials, after storing so; may be repeated if it is killed."""
        if self.artifacts(name).models() <= set(numbers):
            return
        with store_errors(self._where), writing(self._engine).begin() as connection:
            study_id = self._id(connection, name)
            files = artifact_folders.owned(connection, study_id, self._root, is_said=self._is_said)
            study_rows.forget_models(connection, study_id, but=numbers)
        for number in files.models() - set(numbers):
            files.delete(number)

    def create_study(
        self,
        name: str,
        spec: StudySpec,
        facts: Mapping[str, Any],
        *,
        models: Path | None = None,
        command: str = "start",
        fingerprint: bytes | None = None,
    ) -> StudyStore:
        """Store a new study and take its lease, all in one transaction.

        Args:
            name: its name, also in Optuna.
            spec: stored study_rows.
            facts: JSON-ready notes on how it runs: device, executor, what was done to the data.
            models: the folder for the models of all studies; overrides every other setting.
            command: the command to note as the spec's origin.
            fingerprint: the fingerprint of its data.

        Raises:
            StudyExists: there is one of that name.
        """
        durable = writing(self._engine, full=spec.durability == "full")
        with store_errors(self._where), durable.begin() as connection:
            if version(connection) is None:
                raise StoreError(f"{self._where}: was opened for reading; open it with create=True")
            identity, root = uuid4().hex, models or self._root_by(spec.trainer.models)
            study_id = study_rows.add(
                connection,
                name,
                spec,
                command,
                fingerprint,
                facts=json.dumps(dict(facts)),
                models=artifact_folders.first_place(self._engine.url, name, identity, root),
                identity=identity,
                home=str(home_of(self._engine.url)),
            )
            files = artifact_folders.artifacts(connection, study_id, root, synced=spec.durability == "full")
            lease = Lease.take(connection, study_id, name)
            return StudyStore(self._engine, connection, name, spec, lease, files)

    def resume_study(
        self,
        name: str,
        spec: StudySpec | None = None,
        *,
        facts: Mapping[str, Any] | None = None,
        command: str = "resume",
        changes: Sequence[str] = (),
        fingerprint: bytes | None = None,
    ) -> StudyStore:
        """Take a study's lease and set it running again.

        Nothing of its trials is void: those that a dead process left running wait now, each with
        one more interruption.

        Args:
            name: the study.
            spec: replaces the stored one, which stays in the study's history.
            facts: further notes on how it runs; those of the same name are replaced.
            command: the command to note as the new spec's origin.
            changes: the changes to note, one sentence each.
            fingerprint: the fingerprint of its data from now on; None: keep the old one.

        Raises:
            StudyNotFound: nothing has that name.
            StudyLocked: another living process drives it.
            StoreError: the new spec searches for another metric than the stored one, or the study's
                files belong to another database.
        """
        with store_errors(self._where), writing(self._engine).begin() as connection:
            study_id = self._id(connection, name)
            stored = connection.execute(
                select(tuner_studies).where(tuner_studies.c.study_id == study_id)
            ).one()
            lease = Lease.take(connection, study_id, name)
            changed: dict[str, Any] = {"state": StudyState.RUNNING.value, "reason": None}
            former, root = json.loads(stored.spec), self._root
            if spec is None:
                spec = StudySpec.parse(former, name)
            else:
                if spec.trainer.models != former["trainer"].get("models"):
                    root = self._root_by(spec.trainer.models)
                home = str(home_of(self._engine.url))
                changed |= study_rows.revised(connection, stored, name, spec, command, changes, home)
            study_rows.add_facts(connection, study_id, facts or {})
            study_rows.keep_fingerprint(connection, study_id, fingerprint)
            synced = spec.durability == "full"
            files = artifact_folders.owned(connection, study_id, root, is_said=self._is_said, synced=synced)
            notes = artifact_folders.moved(connection, study_id, files.folder, root)
            changed["models"] = artifact_folders.stored(self._engine.url, files.folder)
            changed["updated_at"] = stamp(now())
            connection.execute(tuner_studies.update().where(tuner_studies.c.study_id == study_id), changed)
            cut_off(connection, study_id)
            show_open(connection, study_id)
            return StudyStore(self._engine, connection, name, spec, lease, files, notes)

    def delete_study(self, name: str) -> None:
        """Remove a study's files, then every row of it, ours and Optuna's.

        Until the last step the study is there, without models, so that this can be repeated.

        Raises:
            StudyNotFound: nothing has that name.
            StudyLocked: a living process drives it.
            StoreError: a file cannot be removed, or is not the study's; says which.
        """
        write = writing(self._engine)
        with store_errors(self._where), write.begin() as connection:
            study_id = self._id(connection, name)
            lease = Lease.take(connection, study_id, name)
            files = artifact_folders.owned(connection, study_id, self._root, is_said=self._is_said)
            study_rows.forget_models(connection, study_id)
        try:
            lease.beat(self._engine)
            files.destroy()
        except BaseException:
            with store_errors(self._where), write.begin() as connection:
                lease.release(connection)
            raise
        finally:
            lease.drop()
        with store_errors(self._where), write.begin() as connection:
            study_rows.remove(connection, study_id)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _root_by(self, key: str | None) -> Path | None:
        """The folder for the models of all studies: asked for, a spec's key, or TUNER_MODELS."""
        if self._is_said or key is None:
            return self._root
        return models_root(key, home_of(self._engine.url))

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Everything read within is of one moment: it shares one transaction."""
        with self._reading() as connection:
            self._moment = connection
            try:
                yield
            finally:
                self._moment = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One transaction, so that everything read in it is of one moment."""
        if self._moment is not None:
            yield self._moment
            return
        try:
            with store_errors(self._where), self._engine.begin() as connection:
                yield connection
        except ValueError as error:
            raise StoreError(f"{self._where}: is damaged ({error}); restore a copy") from error

    def _ids(self, connection: Connection) -> dict[str, int]:
        return read.study_ids(connection) if version(connection) is not None else {}

    def _id(self, connection: Connection, name: str) -> int:
        ids = self._ids(connection)
        if name not in ids:
            raise StudyNotFound(f"{self._where}: no study '{name}'; {near(name, ids)}")
        return ids[name]
