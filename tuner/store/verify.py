"""Checks a whole database for faults, and says what to do about each.

Changes nothing, and brings no tables to another version. Needs memory for one study's trials, not
for their curves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import URL, Connection, Row, func, inspect, select

from tuner.artifacts import marks
from tuner.content import models_root
from tuner.core import words
from tuner.core.budget import StudyState
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, TrialState
from tuner.errors import SpecError, StoreError, StudyNotFound, TrialError
from tuner.store import artifact_folders, foreign_trials, read, verify_trials
from tuner.store.connect import (
    connect,
    display_url,
    file_of,
    parse,
    reading,
    store_errors,
    tells_of_damage,
)
from tuner.store.creation import open_optunas
from tuner.store.lease import HOLDER, is_living
from tuner.store.migrations import OLDEST, TOO_OLD
from tuner.store.schema import (
    METADATA,
    VERSION,
    study_directions,
    trials,
    tuner_confirmations,
    tuner_lease,
    tuner_specs,
    tuner_studies,
    version,
)
from tuner.store.temporary_copy import temporary_copy

_RESTORE = "restore a copy of the database"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        study: in which study; None for the database as a whole.
        trial: the trial's number; None for the study as a whole.
        what: what is wrong.
        to_do: what to do about it.
        is_fault: False for no damage: a study that was killed and can be resumed.
    """

    study: str | None
    trial: int | None
    what: str
    to_do: str
    is_fault: bool = True


@dataclass(slots=True)
class Verification:
    """What was looked at, and all that was found.

    Attributes:
        where: the database.
        studies: how many studies were looked through.
        trials: how many trials.
        epochs: how many readings.
    """

    where: str
    studies: int = 0
    trials: int = 0
    epochs: int = 0
    findings: list[Problem] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether no fault was found."""
        return not any(finding.is_fault for finding in self.findings)


def verify(url: str) -> Verification:
    """Look through a database.

    Args:
        url: an SQLAlchemy URL, or a path that ends in ``.db``.

    Raises:
        StudyNotFound: there is no such file.
        StoreError: the URL is none, or the database cannot be reached or is locked.
    """
    parsed = parse(url)
    file = file_of(parsed)
    if file is not None and not file.exists():
        raise StudyNotFound(f"{display_url(parsed)}: there is no such file; --storage names another database")
    verdict = Verification(display_url(parsed))
    copy = temporary_copy(parsed, migrated=False)
    engine = connect(parsed, copy=copy)
    try:
        with store_errors(""), reading(engine).begin() as connection:
            verdict.findings += _file(connection)
            if verdict.is_sound:
                opened = parsed if copy is None else parsed.set(database=str(copy))
                verdict.findings += _schema(connection, opened)
            if verdict.is_sound and version(connection) == VERSION:
                for name, study_id in read.study_ids(connection).items():
                    verdict.findings += _study(connection, name, study_id, verdict)
                verdict.findings += _orphans(connection)
    except (StoreError, ValueError) as error:
        if not tells_of_damage(error):
            raise StoreError(f"{display_url(parsed)}: {str(error).removeprefix(': ')}") from error
        verdict.findings.append(Problem(None, None, str(error).removeprefix(": "), _RESTORE))
    finally:
        engine.dispose()
    return verdict


def _file(connection: Connection) -> Iterator[Problem]:
    """What SQLite itself finds."""
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(10)"):
        if line != "ok":
            to_do = f"{_RESTORE}, or save what can be read: sqlite3 FILE .recover"
            yield Problem(None, None, f"the file is damaged: {' '.join(line.split())}", to_do)
    broken = Counter(row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
    for table, count in broken.items():
        yield Problem(None, None, f"{count} rows of {table} belong to nothing", _RESTORE)


def _schema(connection: Connection, url: URL) -> Iterator[Problem]:
    """Tables, columns and versions, Optuna's and ours."""
    found = version(connection)
    if found is None:
        yield Problem(None, None, "no study of tuner's is in it", "begin one with `tune start`", False)
        return
    if found < VERSION:
        is_too_old = found < OLDEST
        to_do = TOO_OLD if is_too_old else f"`tune list` brings them to version {VERSION}; then verify again"
        yield Problem(None, None, f"its tables have version {found}", to_do, False)
        return
    inspector = inspect(connection)
    known = set(inspector.get_table_names())
    for table in METADATA.tables.values():
        if table.name not in known:
            yield Problem(None, None, f"the table {table.name} is missing", _RESTORE)
            continue
        missing = set(table.c.keys()) - {column["name"] for column in inspector.get_columns(table.name)}
        for column in sorted(missing):
            yield Problem(None, None, f"the column {table.name}.{column} is missing", _RESTORE)
    try:
        open_optunas(url, creates=False)
    except StoreError as error:
        refusal = " ".join(str(error).removeprefix(f"{display_url(url)}: ").split())
        yield Problem(None, None, f"Optuna refuses it: {refusal}", "do as Optuna says")


def _study(connection: Connection, name: str, study_id: int, verdict: Verification) -> Iterator[Problem]:
    verdict.studies += 1
    to_do = f"{_RESTORE}, or remove the study: tune delete {quote(name)}"
    row = connection.execute(
        select(tuner_studies, *HOLDER)
        .outerjoin(tuner_lease, tuner_lease.c.study_id == tuner_studies.c.study_id)
        .where(tuner_studies.c.study_id == study_id)
    ).one()
    for what in _spec_faults(connection, row):
        yield Problem(name, None, what, to_do)
    rows = verify_trials.rows(connection, study_id)
    verdict.trials += len(rows)
    yield from _driver(connection, name, row, rows)
    yield from _confirmations(connection, name, study_id)
    missing = sorted(set(range(len(rows))) - {trial.number for trial in rows})
    if missing:
        yield Problem(name, None, f"trials are missing: {', '.join(map(str, missing[:10]))}", to_do)
    for trial, curve in verify_trials.with_curves(connection, study_id, rows):
        verdict.epochs += len(curve)
        for what in verify_trials.faults(connection, trial, curve, Objective(row.metric, row.minimize)):
            yield Problem(name, trial.number, what, to_do)
    yield from _files(connection, name, study_id, row, rows)
    yield from _foreign(connection, name, study_id, len(rows))


def _spec_faults(connection: Connection, row: Row[Any]) -> Iterator[str]:
    """What is wrong with the study's own row."""
    if row.state not in {state.value for state in StudyState}:
        yield f"its state '{row.state}' is unknown"
    try:
        table = json.loads(row.spec)
        spec = StudySpec.parse(table, "spec")
    except (json.JSONDecodeError, SpecError) as error:
        yield f"its spec cannot be read: {' '.join(str(error).split())}"
        return
    if hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest() != row.digest:
        yield "its spec was changed by another program: it does not have the stored digest"
    last = connection.scalar(
        select(tuner_specs.c.digest)
        .where(tuner_specs.c.study_id == row.study_id)
        .order_by(tuner_specs.c.number.desc())
        .limit(1)
    )
    if last != row.digest:
        yield "its spec is not the last one of its history"
    objective = spec.primary_objective()
    direction = connection.scalar(
        select(study_directions.c.direction).where(
            study_directions.c.study_id == row.study_id, study_directions.c.objective == 0
        )
    )
    if (objective.metric, objective.minimize) != (row.metric, row.minimize) or direction != (
        "MINIMIZE" if objective.minimize else "MAXIMIZE"
    ):
        yield "its spec, its own row and Optuna's have different objectives"


def _driver(connection: Connection, name: str, row: Row[Any], rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    """Whether a study that is stored as running is driven by a process."""
    running = [trial.number for trial in rows if trial.state == TrialState.RUNNING.value]
    if is_living(connection, row):
        return
    if row.state == StudyState.RUNNING.value:
        what = f"{read.GONE}; {len(running)} trials were running"
        yield Problem(name, None, what, f"go on with: tune resume {quote(name)}", is_fault=False)
    elif running:
        what = f"no process drives the study, yet trials are running: {', '.join(map(str, running[:10]))}"
        yield Problem(name, None, what, f"go on with: tune resume {quote(name)}")


def _confirmations(connection: Connection, name: str, study_id: int) -> Iterator[Problem]:
    """Whether confirmations are complete and readable."""
    found = connection.execute(
        select(tuner_confirmations.c.number, tuner_confirmations.c.result)
        .where(tuner_confirmations.c.study_id == study_id)
        .order_by(tuner_confirmations.c.number)
    ).all()
    if [row.number for row in found] != list(range(1, len(found) + 1)):
        yield Problem(name, None, "confirmations are missing: the test was opened more often", _RESTORE)
    for row in found:
        try:
            if row.result is None:
                what = f"confirmation {row.number} was cut off after the test was opened"
                yield Problem(name, None, what, f"go on with: tune confirm {quote(name)}", is_fault=False)
            else:
                json.loads(row.result)
        except json.JSONDecodeError:
            yield Problem(name, None, f"confirmation {row.number} cannot be read", _RESTORE)


def _foreign(connection: Connection, name: str, study_id: int, ours: int) -> Iterator[Problem]:
    """What plain Optuna has added."""
    its = trials.c.study_id == study_id
    theirs = foreign_trials.ids(connection, study_id)
    numbers = select(func.count(trials.c.number.distinct())).where(its)
    if connection.scalar(numbers) != ours + len(theirs):
        what = "trials share a number, so Optuna shows only one of them"
        yield Problem(name, None, what, f"tune resume {quote(name)} numbers Optuna's own trials anew")
    last = foreign_trials.last_id(connection, study_id)
    waiting = len(foreign_trials.waiting(connection, study_id, theirs, after=last))
    if waiting:
        what = f"{words.count(waiting, 'trial')} that plain Optuna has enqueued"
        yield Problem(name, None, what, f"have it trained: tune resume {quote(name)}", is_fault=False)
    if len(theirs) > waiting:
        added = words.count(len(theirs) - waiting, "trial")
        what = f"plain Optuna has added {added}, which tuner did not train"
        to_do = "nothing; they are not counted; use Optuna's enqueue_trial to have a configuration trained"
        yield Problem(name, None, what, to_do, is_fault=False)


def _files(
    connection: Connection, name: str, study_id: int, row: Row[Any], rows: Sequence[Row[Any]]
) -> Iterator[Problem]:
    """Whether the models that a study names are there and its own, and no others beside them."""
    try:
        files = artifact_folders.artifacts(connection, study_id, models_root())
    except StoreError as error:
        yield Problem(name, None, *_split(error))
        return
    named = {trial.number: trial.model_path for trial in rows if trial.model_path is not None}
    try:
        files.require()
    except StoreError as error:
        yield Problem(name, None, *_split(error))
    else:
        for number, path in named.items():
            if path != str(number):
                what = f"its model is stored as '{path}' instead of its number"
                yield Problem(name, number, what, _RESTORE)
            try:
                if files.get(number) is None:
                    what = f"its model is not in {files.path(number)}"
                    yield Problem(name, number, what, "put the folder back")
            except (StoreError, TrialError) as error:
                yield Problem(name, number, *_split(error))
    left: list[int] = []
    with suppress(OSError, StoreError):
        left = sorted(files.models() - named.keys())
    if left and not is_living(connection, row):
        what = f"models that no trial names were left by a killed process: {', '.join(map(str, left[:10]))}"
        remove = f"`tune resume {quote(name)}` or `tune delete {quote(name)}` removes them"
        yield Problem(name, None, what, remove, is_fault=False)


def _orphans(connection: Connection) -> Iterator[Problem]:
    """Folders of studies that this database had and has no more."""
    url, given = connection.engine.url, models_root()
    ids = connection.execute(select(tuner_studies.c.study_id, tuner_studies.c.identity)).all()
    known = {identity for _, identity in ids}
    roots = {given if isinstance(given, Path) else artifact_folders.default_root(url)}
    for study_id, _ in ids:
        with suppress(StoreError):
            roots.add(artifact_folders.artifacts(connection, study_id, given).folder.parent)
    for root in sorted(roots):
        for folder, mark in sorted(marks(root).items()):
            is_ours = artifact_folders.is_same_database(url, folder, str(mark.get("database")))
            if mark.get("identity") not in known and is_ours:
                what = f"{folder} holds the files of a study '{mark.get('study')}' that is not here any more"
                to_do = f"if they are not needed: rm -r {quote(str(folder))}"
                yield Problem(None, None, what, to_do, is_fault=False)


def _split(error: Exception) -> tuple[str, str]:
    """What an error says is wrong, and what to do."""
    what, _, to_do = str(error).rpartition("; ")
    return what or to_do, to_do
