"""Rows of a study as a whole: for Optuna, its spec's history, its data's fingerprint.

Each function writes within the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from tuner.core import words
from tuner.core.budget import StudyState
from tuner.core.changes import changes
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective
from tuner.errors import SpecError, StoreError, StudyExists
from tuner.store.connect import display_url
from tuner.store.encoding import now, stamp, storable
from tuner.store.schema import (
    METADATA,
    studies,
    study_directions,
    study_system_attributes,
    trials,
    tuner_fingerprints,
    tuner_specs,
    tuner_studies,
    tuner_trials,
)


def add(
    connection: Connection,
    name: str,
    spec: StudySpec,
    command: str,
    fingerprint: bytes | None,
    **columns: str,
) -> int:
    """Insert a new study that runs from now on; `columns` are further ones of its row in `tuner_studies`.

    Returns:
        Its id.

    Raises:
        StudyExists: there is one of that name.
        StoreError: the row is not there after it was inserted.
    """
    require_new(connection, name)
    connection.execute(studies.insert().values(study_name=name))
    study_id = _id_of(connection, name)
    if study_id is None:
        where = display_url(connection.engine.url)
        raise StoreError(f"{where}: the new study '{name}' cannot be found again")
    _describe(connection, study_id, spec)
    moment = stamp(now())
    row = {
        "study_id": study_id,
        "state": StudyState.RUNNING.value,
        "seconds": 0.0,
        **of_spec(spec),
        **columns,
    }
    connection.execute(tuner_studies.insert(), {**row, "created_at": moment, "updated_at": moment})
    keep_spec(connection, study_id, spec, command, ())
    keep_fingerprint(connection, study_id, fingerprint)
    return study_id


def require_new(connection: Connection, name: str) -> None:
    """Make sure that no study has a name.

    Raises:
        StudyExists: one has.
    """
    known = _id_of(connection, name)
    if known is None:
        return
    ours = select(tuner_studies.c.study_id).where(tuner_studies.c.study_id == known)
    is_ours = connection.scalar(ours) is not None
    to_do = f"go on with: tune resume {quote(name)}" if is_ours else "take another name"
    of = "" if is_ours else " of plain Optuna"
    where = display_url(connection.engine.url)
    raise StudyExists(f"{where}: a study '{name}'{of} is already there; {to_do}")


def _id_of(connection: Connection, name: str) -> int | None:
    found: int | None = connection.scalar(select(studies.c.study_id).where(studies.c.study_name == name))
    return found


def rename(connection: Connection, study_id: int, new: str, command: str) -> None:
    """Give a study another name, in its spec, too, whose history notes it.

    Raises:
        StudyExists: another study has that name.
        SpecError: it is no name.
    """
    if odd := words.control_character(new):
        raise SpecError(f"name: {new!r} holds the control character {odd!r}; take it out")
    require_new(connection, new)
    mine = tuner_studies.c.study_id == study_id
    spec = StudySpec.parse(
        json.loads(connection.execute(select(tuner_studies.c.spec).where(mine)).scalar_one())
    )
    found = StudySpec.parse({**spec.to_table(), "name": new}, "name")
    connection.execute(studies.update().where(studies.c.study_id == study_id).values(study_name=new))
    connection.execute(tuner_studies.update().where(mine).values(**of_spec(found), updated_at=stamp(now())))
    keep_spec(connection, study_id, found, command, [str(change) for change in changes(spec, found)])


def of_spec(spec: StudySpec) -> dict[str, Any]:
    """A spec as the columns of a study's own row."""
    objective = spec.primary_objective()
    return {
        "spec": json.dumps(spec.to_table()),
        "digest": spec.digest,
        "metric": objective.metric,
        "minimize": objective.minimize,
    }


def keep_spec(
    connection: Connection, study_id: int, spec: StudySpec, command: str, told: Sequence[str]
) -> None:
    """Add to the history of a study's specs."""
    last = connection.scalar(select(func.max(tuner_specs.c.number)).where(tuner_specs.c.study_id == study_id))
    connection.execute(
        tuner_specs.insert(),
        {
            "study_id": study_id,
            "number": 0 if last is None else last + 1,
            "at": stamp(now()),
            "command": storable(command),
            "changes": json.dumps(list(told)),
            "digest": spec.digest,
            "spec": json.dumps(spec.to_table()),
        },
    )


def keep_fingerprint(connection: Connection, study_id: int, fingerprint: bytes | None) -> None:
    """Store the fingerprint of a study's data; None: keep the old one."""
    if fingerprint is None:
        return
    mine = tuner_fingerprints.c.study_id == study_id
    if connection.scalar(select(tuner_fingerprints.c.fingerprint).where(mine)) != fingerprint:
        connection.execute(delete(tuner_fingerprints).where(mine))
        row = {"study_id": study_id, "fingerprint": fingerprint}
        connection.execute(tuner_fingerprints.insert(), row)


def add_facts(connection: Connection, study_id: int, changes: Mapping[str, Any]) -> None:
    """Add facts about how a study runs; those of the same name are replaced."""
    mine = tuner_studies.c.study_id == study_id
    known = json.loads(connection.scalar(select(tuner_studies.c.facts).where(mine)) or "{}")
    text = json.dumps({**known, **changes})
    connection.execute(tuner_studies.update().where(mine).values(facts=text))


def _describe(connection: Connection, study_id: int, spec: StudySpec) -> None:
    """Optuna's attributes of a study: its directions and metric names."""
    objectives = spec.objectives()
    connection.execute(
        study_directions.insert(),
        [
            {"study_id": study_id, "direction": "MINIMIZE" if o.minimize else "MAXIMIZE", "objective": place}
            for place, o in enumerate(objectives)
        ],
    )
    names = json.dumps([objective.metric for objective in objectives])
    connection.execute(
        study_system_attributes.insert(),
        {"study_id": study_id, "key": "study:metric_names", "value_json": names},
    )


def revised(
    connection: Connection,
    stored: Row[Any],
    name: str,
    spec: StudySpec,
    command: str,
    told: Sequence[str],
    home: str,
) -> dict[str, Any]:
    """Columns of a study that goes on with another spec, which is added to its history where it differs.

    Raises:
        StoreError: the new spec searches for something else than the old one.
    """
    old, new = Objective(stored.metric, stored.minimize), spec.primary_objective()
    if old != new:
        raise StoreError(
            f"study '{name}' searches for {_told(old)} and cannot go on with {_told(new)}; "
            "start another study"
        )
    columns = of_spec(spec)
    if told or columns["digest"] != stored.digest:
        moved = [f"moved: {stored.home} -> {home}"] if stored.home not in (home, None) else []
        keep_spec(connection, stored.study_id, spec, command, [*told, *moved])
    return {**columns, "home": home}


def extended(
    connection: Connection, study_id: int, spec: StudySpec, section: str, values: Mapping[str, Any]
) -> StudySpec:
    """A spec with values of a section that came while the study ran; stored, with where they came from."""
    found = spec.extended(section, values)
    told = [str(change) for change in changes(spec, found)]
    mine = tuner_studies.c.study_id == study_id
    connection.execute(tuner_studies.update().where(mine).values(of_spec(found)))
    source = "raised on request" if section == "budget" else "learned from the trainer"
    keep_spec(connection, study_id, found, source, told)
    return found


def _told(objective: Objective) -> str:
    return f"the {'lowest' if objective.minimize else 'highest'} {objective.metric}"


def forget_models(connection: Connection, study_id: int, but: Collection[int] = ()) -> None:
    """Note that no model of a study is kept, `but` those of some trials."""
    others = tuner_trials.c.study_id == study_id, tuner_trials.c.number.not_in(list(but))
    connection.execute(tuner_trials.update().where(*others).values(model_path=None))


def remove(connection: Connection, study_id: int) -> None:
    """Delete every row of a study, ours and Optuna's."""
    its = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    for table in reversed(METADATA.tables.values()):
        if "trial_id" in table.c and table is not trials:
            connection.execute(delete(table).where(table.c.trial_id.in_(its)))
    for table in reversed(METADATA.tables.values()):
        if "study_id" in table.c:
            connection.execute(delete(table).where(table.c.study_id == study_id))
