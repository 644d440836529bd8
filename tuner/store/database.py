"""Database: opens a file or a server's database, lists, creates, resumes and deletes studies."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection, Engine, select

from tuner.content import models_root
from tuner.core.budget import StudyState
from tuner.core.request import RequestKind
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, WholeTrial
from tuner.errors import SpecError, StoreError, StudyNotFound
from tuner.store import (
    artifact_folders,
    comments,
    foreign_trials,
    read,
    requests,
    study_rows,
    trial_rows,
)
from tuner.store.connect import connect, display_url, file_of, parse, reading, store_errors, writing
from tuner.store.creation import create_file, ensure
from tuner.store.database_reads import DatabaseReads
from tuner.store.encoding import now, stamp, storable
from tuner.store.lease import Lease, require_free
from tuner.store.migrations import migrate, take_over
from tuner.store.relocation import home_of
from tuner.store.schema import tuner_confirmations, tuner_studies, version
from tuner.store.temporary_copy import temporary_copy
from tuner.store.values import CONFIRMS, StoredConfirmation, StudySummary
from tuner.store.write import StudyStore


class Database(DatabaseReads):
    """Studies in one database, beside whatever plain Optuna keeps there.

    Tables of an earlier version are brought to this one's when the database is opened. Methods that
    are given a name raise StudyNotFound where no study has it.
    """

    def __init__(self, engine: Engine, models: str | Path | None = None) -> None:
        super().__init__(display_url(engine.url), models)
        self._engine, self._reads = engine, reading(engine)
        self._is_said = bool(models)

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

    def keep_fingerprint(self, name: str, fingerprint: bytes) -> None:
        """Store the fingerprint of a study's data."""
        with self._writing() as connection:
            study_rows.keep_fingerprint(connection, self._id(connection, name), fingerprint)

    def add_facts(self, name: str, changes: Mapping[str, Any]) -> None:
        """Add facts about a study that no process drives; see `StudyStore.facts`."""
        with self._writing() as connection:
            study_rows.add_facts(connection, self._id(connection, name), changes)

    def begin_confirmation(self, name: str, command: str, *, opened: bool) -> StoredConfirmation:
        """Note that a confirmation judges now, before the test split is read.

        One that was cut off goes on under its own number, and stays as it was noted. `opened` says whether
        the locked test split is about to be read.
        """
        with self._writing(full=True) as connection:
            study_id = self._id(connection, name)
            known = read.confirmations(connection, study_id)
            if known and known[-1].result is None and known[-1].opened == opened:
                return known[-1]
            told, host = storable(command) or "", socket.gethostname()
            begun = StoredConfirmation(len(known) + 1, stamp(now()), told, host, opened, None)
            connection.execute(tuner_confirmations.insert(), {"study_id": study_id, **asdict(begun)})
        return begun

    def end_confirmation(self, name: str, number: int, result: Mapping[str, Any]) -> None:
        """Store the result of a confirmation; a stored result stays."""
        with self._writing(full=True) as connection:
            its = tuner_confirmations.c
            mine = its.study_id == self._id(connection, name), its.number == number, its.result.is_(None)
            text = json.dumps(dict(result))
            connection.execute(tuner_confirmations.update().where(*mine).values(result=text))

    def keep_models(self, name: str, numbers: Collection[int]) -> None:
        """Delete all models but those of these trials, after storing so; may be repeated if it is killed."""
        if self.artifacts(name).models() <= set(numbers):
            return
        with self._writing() as connection:
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
        models: Path | str | None = None,
        command: str = "start",
        fingerprint: bytes | None = None,
        whole: Sequence[WholeTrial] = (),
        first: Sequence[Params] = (),
    ) -> StudyStore:
        """Store a new study and take its lease, all in one transaction.

        Args:
            name: its name, also in Optuna.
            spec: stored study_rows.
            facts: JSON-ready notes on how it runs: device, executor, what was done to the data.
            models: the folder for the models of all studies; overrides every other setting.
            command: the command to note as the spec's origin.
            fingerprint: the fingerprint of its data.
            whole: trials that it begins with.
            first: configurations to be tried after the default one.

        Raises:
            StudyExists: there is one of that name.
        """
        with self._writing(full=spec.durability == "full") as connection:
            if version(connection) is None:
                raise StoreError(f"{self.location}: was opened for reading; open it with create=True")
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
            trial_rows.add_whole(connection, study_id, spec, whole)
            requests.add(connection, study_id, [(RequestKind.TRY, params) for params in first])
            files = artifact_folders.artifacts(connection, study_id, root, synced=spec.durability == "full")
            with Lease.taking(connection, study_id, name) as lease:
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
            StudyLocked: another living process drives it.
            StoreError: the new spec searches for another metric than the stored one, or the study's
                files belong to another database.
        """
        with self._writing() as connection:
            study_id = self._id(connection, name)
            with Lease.taking(connection, study_id, name) as lease:
                mine = tuner_studies.c.study_id == study_id
                stored = connection.execute(select(tuner_studies).where(mine)).one()
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
                synced, is_said = spec.durability == "full", self._is_said
                files = artifact_folders.owned(connection, study_id, root, is_said=is_said, synced=synced)
                notes = artifact_folders.moved(connection, study_id, files.place, root)
                changed["models"] = artifact_folders.stored(self._engine.url, files.place)
                changed["updated_at"] = stamp(now())
                connection.execute(tuner_studies.update().where(mine), changed)
                trial_rows.cut_off(connection, study_id)
                trial_rows.show_open(connection, study_id)
                return StudyStore(self._engine, connection, name, spec, lease, files, notes)

    def import_trials(
        self, name: str, spec: StudySpec, whole: Sequence[WholeTrial], command: str, changes: Sequence[str]
    ) -> None:
        """Add trials to a study that no process drives; `spec` replaces the stored one.

        Raises:
            StudyLocked: a living process drives it.
        """
        with self._writing() as connection:
            study_id = self._id(connection, name)
            require_free(connection, study_id, name)
            mine = tuner_studies.c.study_id == study_id
            stored = connection.execute(select(tuner_studies).where(mine)).one()
            home = str(home_of(self._engine.url))
            changed = study_rows.revised(connection, stored, name, spec, command, changes, home)
            connection.execute(tuner_studies.update().where(mine), {**changed, "updated_at": stamp(now())})
            ours = read.trials_of(connection, study_id)
            foreign_trials.renumber(connection, foreign_trials.ids(connection, study_id), ours + len(whole))
            trial_rows.add_whole(connection, study_id, spec, whole)

    def ask(self, name: str, kind: RequestKind, content: Mapping[str, Any]) -> StudySummary:
        """Ask something of a study, whoever drives it; see `core.request`.

        Returns:
            Who takes it up: the study, or the confirmation of it that trains now and is to stop.

        Raises:
            SpecError: it cannot be done; says why.
        """
        summary = self.study(name)
        if kind is RequestKind.STOP and not summary.is_driven:
            confirming = (each for each in self.studies() if each.confirms == name and each.is_driven)
            summary = next(confirming, summary)
        with self._writing() as connection:
            study_id = self._id(connection, summary.name)
            found = requests.checked(connection, study_id, summary, kind, content)
            requests.add(connection, study_id, [(kind, found)])
        return summary

    def comment(self, name: str, text: str, number: int | None = None) -> None:
        """Write a comment on a study, or on one of its trials, in the place of the one that is there.

        Args:
            name: the study.
            text: at most `comments.MOST` characters; empty: none any more.
            number: the trial; None: the study.

        Raises:
            SpecError: it is too long, or there is no such trial.
        """
        if len(text) > comments.MOST:
            raise SpecError(f"comment: at most {comments.MOST:,} characters are kept, found {len(text):,}")
        with self._writing() as connection:
            study_id = self._id(connection, name)
            if number is not None and read.state_of(connection, study_id, number) is None:
                raise SpecError(f"{name}: there is no trial {number}")
            comments.write(connection, study_id, number, storable(text.strip()) or "")

    def rename_study(self, name: str, new: str, command: str = "") -> None:
        """Give a study that no process drives another name; its files stay in their folder.

        Args:
            name: the study.
            new: its new name.
            command: what renames it, for the history of its spec.

        Raises:
            StudyExists: another study has the new one.
            StudyLocked: a living process drives it, or a confirmation of it.
            SpecError: the new one is no name.
        """
        repeats = [each.name for each in self.studies() if each.confirms == name]
        with self._writing() as connection:
            study_id = self._id(connection, name)
            ids = [self._id(connection, each) for each in repeats]
            for its_id, its_name in zip((study_id, *ids), (name, *repeats), strict=True):
                require_free(connection, its_id, its_name)
            study_rows.rename(connection, study_id, new, command)
            for its_id in ids:
                study_rows.add_facts(connection, its_id, {CONFIRMS: new})

    def delete_study(self, name: str) -> None:
        """Remove a study's files, then every row of it, ours and Optuna's; before it what confirmed it.

        Until the last step the study is there, without models, so that this can be repeated.

        Raises:
            StudyLocked: a living process drives it.
            StoreError: a file cannot be removed, or is not the study's; says which.
        """
        self.study(name)
        confirming = [each.name for each in self.studies() if each.confirms == name]
        for each in (*reversed(confirming), name):
            self._delete(each)

    def _delete(self, name: str) -> None:
        with self._writing() as connection:
            study_id = self._id(connection, name)
            with Lease.taking(connection, study_id, name) as lease:
                files = artifact_folders.owned(connection, study_id, self._root, is_said=self._is_said)
                study_rows.forget_models(connection, study_id)
        try:
            lease.beat(self._engine)
            files.destroy()
        except BaseException:
            with self._writing() as connection:
                lease.release(connection)
            raise
        finally:
            lease.drop()
        with self._writing() as connection:
            study_rows.remove(connection, study_id)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, full: bool = False) -> Iterator[Connection]:
        """A transaction that writes; see `connect.writing`."""
        with store_errors(self.location), writing(self._engine, full=full).begin() as connection:
            yield connection

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self._reads.begin()

    def _root_by(self, key: str | None) -> Path | str | None:
        """The folder for the models of all studies: asked for, a spec's key, or TUNER_MODELS."""
        if self._is_said or key is None:
            return self._root
        return models_root(key, home_of(self._engine.url))
