"""Migrations: turn tables of an earlier version into the next version's, one step per version.

Each step is written in plain SQL and stays as it is for ever, so it must not use the tables as `schema`
declares them today. Tables from before version `OLDEST` are refused. The step to version 5 renames the
folders of models, which `take_over` moves whenever such a database is opened: the first time may be cut off.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine, func, select, text

from tuner.artifacts import folder_name, name_before_5
from tuner.errors import StoreError, StudyLocked
from tuner.store import artifact_folders
from tuner.store.connect import backend_of, display_url, store_errors, writing
from tuner.store.encoding import now, stamp
from tuner.store.lease import is_living
from tuner.store.schema import VERSION, studies, tuner_migrations, tuner_studies, tuner_trials, version

_LOG = logging.getLogger(__name__)

OLDEST = 4
"""The earliest version that can be brought to this one."""

TOO_OLD = (
    f"this tuner opens version {OLDEST} and later; open it once with a tuner that writes version {OLDEST} "
    "(`tune list`), then with this one"
)
"""What to do about tables that are older."""


def migrate(engine: Engine) -> None:
    """Bring our tables to this tuner's version, all steps in one transaction; nothing where they have it.

    Raises:
        StudyLocked: a tuner of the older version drives one of the studies.
        StoreError: the database cannot be written, or is of a later version or one before `OLDEST`.
    """
    where = display_url(engine.url)
    with store_errors(where), engine.begin() as connection:
        found = version(connection)
    if found is None or found == VERSION:
        return
    if found < OLDEST:
        raise StoreError(f"{where}: its tables have version {found}; {TOO_OLD}")
    try:
        with (
            store_errors(where),
            backend_of(engine.url).exclusive(engine),
            writing(engine).begin() as connection,
        ):
            # Another process may have done it meanwhile.
            found = version(connection) or VERSION
            if found < VERSION:
                _require_idle(connection, where, found)
            for step in range(found + 1, VERSION + 1):
                STEPS[step](connection)
                connection.execute(text("UPDATE tuner_schema SET version = :v"), {"v": step})
                connection.execute(
                    text("INSERT INTO tuner_migrations (version, at) VALUES (:v, :at)"),
                    {"v": step, "at": stamp(now())},
                )
    except StudyLocked:
        raise
    except StoreError as error:
        raise StoreError(
            f"{error}; its tables have version {found} and must be brought to version {VERSION} once: "
            "run `tune list` where the file can be written"
        ) from error


def _require_idle(connection: Connection, where: str, found: int) -> None:
    holders = connection.execute(text("SELECT host, pid, process_start, heartbeat, token FROM tuner_lease"))
    for holder in holders:
        if is_living(connection, holder):
            raise StudyLocked(
                f"{where}: process {holder.pid} on {holder.host}, a tuner that writes tables of version "
                f"{found}, drives a study in it; wait for it or stop it, then they are brought to version "
                f"{VERSION}"
            )


def _to_5(connection: Connection) -> None:
    """An identity for each study, after which its files' folder is named, and its data's fingerprint.

    Older studies have no fingerprint. Their models are moved when the tables are in place.
    """
    dialect = connection.dialect.name
    kind = "BYTEA" if dialect == "postgresql" else "BLOB"
    for statement in (
        "ALTER TABLE tuner_studies ADD COLUMN identity VARCHAR(32) NOT NULL DEFAULT ''",
        "ALTER TABLE tuner_studies ADD COLUMN home TEXT",
        f"CREATE TABLE tuner_fingerprints (study_id INTEGER NOT NULL, fingerprint {kind} NOT NULL, "
        "PRIMARY KEY (study_id), FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE)",
        "UPDATE tuner_trials SET model_path = CAST(number AS VARCHAR(16)) WHERE model_path IS NOT NULL",
    ):
        connection.execute(text(statement))
    _go_with_study(connection, "tuner_fingerprints")
    _rename_scores(connection)
    named = "SELECT t.study_id, s.study_name, t.models FROM tuner_studies t JOIN studies s USING (study_id)"
    for study_id, name, models in connection.execute(text(named)).all():
        identity = uuid4().hex
        # They lie beside an SQLite file, wherever it may be by now; there it was.
        root = Path("tuner_models") if dialect == "sqlite" else Path(models).parent
        connection.execute(
            text(
                "UPDATE tuner_studies SET identity = :identity, models = :models, home = :home "
                "WHERE study_id = :study_id"
            ),
            {
                "identity": identity,
                "home": str(Path(models).parent.parent) if models else None,
                "models": str(root / folder_name(name, identity)),
                "study_id": study_id,
            },
        )


def _rename_scores(connection: Connection) -> None:
    """What was called f1, precision and recall was the mean over classes, whose name has _macro now."""
    names = {name: f"{name}_macro" for name in ("f1", "precision", "recall")}
    for table in ("tuner_studies", "tuner_specs"):
        key = "study_id" if table == "tuner_studies" else "study_id, number"
        where = " AND ".join(f"{column} = :{column}" for column in key.split(", "))
        found = connection.execute(text(f"SELECT {key}, spec FROM {table}"))  # noqa: S608
        for row in found.mappings().all():
            spec = json.loads(row["spec"])
            score = spec.get("trainer", {}).get("score")
            if score not in names:
                continue
            spec["trainer"]["score"] = names[score]
            digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
            connection.execute(
                text(f"UPDATE {table} SET spec = :spec, digest = :digest WHERE {where}"),  # noqa: S608
                {**row, "spec": json.dumps(spec), "digest": digest},
            )
    found = connection.execute(text("SELECT study_id, number, result FROM tuner_confirmations"))
    for row in found.mappings().all():
        result = json.loads(row["result"]) if row["result"] else {}
        if result.get("score") in names:
            result["score"] = names[result["score"]]
            where = "study_id = :study_id AND number = :number"
            connection.execute(
                text(f"UPDATE tuner_confirmations SET result = :result WHERE {where}"),  # noqa: S608
                {**row, "result": json.dumps(result)},
            )


def _to_7(connection: Connection) -> None:
    """What somebody asks of a study."""
    counted = "SERIAL" if connection.dialect.name == "postgresql" else "INTEGER"
    connection.execute(
        text(
            f"CREATE TABLE tuner_requests (request_id {counted} NOT NULL, "
            "study_id INTEGER NOT NULL, at VARCHAR(32) NOT NULL, kind VARCHAR(16) NOT NULL, "
            "content TEXT NOT NULL, answered_at VARCHAR(32), answer TEXT, PRIMARY KEY (request_id), "
            "FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE)"
        )
    )
    _go_with_study(connection, "tuner_requests")


def _go_with_study(connection: Connection, table: str) -> None:
    """Have the rows of a table go with their study, where foreign keys do not do so."""
    if connection.dialect.name == "sqlite":
        its = f"DELETE FROM {table} WHERE study_id = OLD.study_id"  # noqa: S608
        connection.exec_driver_sql(f"CREATE TRIGGER {table}_goes AFTER DELETE ON studies BEGIN {its}; END")


def _add_column(table: str, column: str, connection: Connection) -> None:
    connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column}"))


STEPS: Mapping[int, Callable[[Connection], None]] = {
    5: _to_5,
    # Where each trial's configuration comes from; those of confirmations are known by their study.
    6: partial(_add_column, "tuner_trials", "origin VARCHAR(16) NOT NULL DEFAULT 'searched'"),
    7: _to_7,
    # What the machine of a running study does, and how many transactions a driver has written.
    8: partial(_add_column, "tuner_lease", "machine TEXT"),
    9: partial(_add_column, "tuner_lease", "turn INTEGER NOT NULL DEFAULT 0"),
}
"""The step that leads to each version from the one before."""


def take_over(engine: Engine, *, moves: bool) -> None:
    """Move models from folders named for studies, as before version 5; what stays there is logged.

    Only the models of trials that the database has are moved: two databases may have shared such a folder.

    Args:
        engine: of the database.
        moves: False where it is read on media that cannot be written.
    """
    with store_errors(display_url(engine.url)), engine.begin() as connection:
        if version(connection) is None:
            return
        count = select(func.count()).select_from(tuner_migrations).where(tuner_migrations.c.version < 5)
        if not connection.scalar(count):
            return
        for name, study_id in connection.execute(
            select(studies.c.study_name, studies.c.study_id).join(
                tuner_studies, tuner_studies.c.study_id == studies.c.study_id
            )
        ).all():
            _, identity, folder = artifact_folders.stored_place(connection, study_id)
            former = name_before_5(name)
            if isinstance(folder, str):
                continue  # Object stores came later.
            older = folder.with_name(former) if former is not None else folder
            if older == folder or older.is_symlink() or not older.is_dir():
                continue
            if not moves:
                _tell(name, older, "they are moved when the database is first opened where it can be written")
                continue
            files = artifact_folders.files_in(connection, name, identity, folder)
            kept = connection.execute(
                select(tuner_trials.c.number, tuner_trials.c.params).where(
                    tuner_trials.c.study_id == study_id, tuner_trials.c.model_path.is_not(None)
                )
            )
            try:
                files.take_over(older, {number: json.loads(params) for number, params in kept})
            except OSError as error:
                _tell(name, older, str(error))


@cache
def _tell(name: str, older: Path, why: str) -> None:
    """Once for each process, which may open the database often."""
    _LOG.warning("the models of %s stay in %s, unread: %s", name, older, why)
