"""Reads studies, their specs and confirmations, without Optuna and without any object mapping.

Writes nothing, and never touches Optuna's tables but for the studies' names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Row, func, select

from tuner.core.budget import StudyState
from tuner.core.objectives import ObjectiveSpec
from tuner.core.spec import falls
from tuner.core.trial import Origin, TrialRecord, TrialState
from tuner.machine import MachineReading
from tuner.store import artifact_folders
from tuner.store.lease import HOLDER, is_living
from tuner.store.records import best_by_value, records
from tuner.store.relocation import relocated
from tuner.store.schema import (
    studies,
    tuner_confirmations,
    tuner_lease,
    tuner_specs,
    tuner_studies,
    tuner_trials,
)
from tuner.store.values import ORIGIN, SpecRevision, StoredConfirmation, StudySummary

GONE = "its process ended unexpectedly"
"""The reason of an unfinished study that no process drives."""


def study_ids(connection: Connection) -> dict[str, int]:
    """The ids of our studies by name, the newest first."""
    found = connection.execute(
        select(studies.c.study_name, studies.c.study_id)
        .join(tuner_studies, tuner_studies.c.study_id == studies.c.study_id)
        .order_by(tuner_studies.c.created_at.desc(), studies.c.study_id.desc())
    )
    return dict(found.all())


def trials_of(connection: Connection, study_id: int) -> int:
    """How many trials of ours a study has."""
    its = select(func.count()).where(tuner_trials.c.study_id == study_id)
    return connection.scalar(its) or 0


def state_of(connection: Connection, study_id: int, number: int) -> TrialState | None:
    """The state of a trial of ours; None where there is none of that number."""
    mine = (tuner_trials.c.study_id == study_id, tuner_trials.c.number == number)
    found = connection.scalar(select(tuner_trials.c.state).where(*mine))
    return None if found is None else TrialState(found)


def specs(connection: Connection, study_id: int) -> list[SpecRevision]:
    """Every spec that a study has had, the first one first."""
    rows = connection.execute(
        select(tuner_specs).where(tuner_specs.c.study_id == study_id).order_by(tuner_specs.c.number)
    )
    return [
        SpecRevision(row.at, row.command, tuple(json.loads(row.changes)), row.digest, json.loads(row.spec))
        for row in rows
    ]


def confirmations(connection: Connection, study_id: int) -> list[StoredConfirmation]:
    """Every confirmation of a study, the first one first."""
    rows = connection.execute(
        select(tuner_confirmations)
        .where(tuner_confirmations.c.study_id == study_id)
        .order_by(tuner_confirmations.c.number)
    )
    return [
        StoredConfirmation(
            row.number,
            row.at,
            row.command,
            row.host,
            row.opened,
            None if row.result is None else json.loads(row.result),
        )
        for row in rows
    ]


def confirmed(connection: Connection, study_id: int, root: Path | str | None) -> dict[str, Any] | None:
    """The result of a study's last confirmation; None where it was never confirmed.

    Of its model's path only the trial's number is stored, or counts; the path follows from it.
    """
    done = [each.result for each in confirmations(connection, study_id) if each.result is not None]
    if not done:
        return None
    number = Path(done[-1].get("model_path") or "").name
    trained = study_ids(connection).get(done[-1]["confirmed_by"]) if number.isdecimal() else None
    files = None if trained is None else artifact_folders.artifacts(connection, trained, root)
    return {**done[-1], "model_path": None if files is None else str(files.path(int(number)))}


def summaries(
    connection: Connection, ids: Mapping[str, int], known: Sequence[TrialRecord] | None = None
) -> list[StudySummary]:
    """The summaries of the studies of these ids, in their order; `known` are the trials of the only one."""
    chosen = list(ids.values())
    rows = {
        row.study_id: row
        for row in connection.execute(
            select(tuner_studies, *HOLDER, tuner_lease.c.machine)
            .outerjoin(tuner_lease, tuner_lease.c.study_id == tuner_studies.c.study_id)
            .where(tuner_studies.c.study_id.in_(chosen))
        )
    }
    counts: dict[int, dict[str, int]] = {i: {state.value: 0 for state in TrialState} for i in chosen}
    elsewhere = dict.fromkeys(chosen, 0)
    for study_id, state, origin, count in connection.execute(
        select(tuner_trials.c.study_id, tuner_trials.c.state, tuner_trials.c.origin, func.count())
        .where(tuner_trials.c.study_id.in_(chosen))
        .group_by(tuner_trials.c.study_id, tuner_trials.c.state, tuner_trials.c.origin)
    ):
        if origin == Origin.IMPORTED.value:
            elsewhere[study_id] += count
        else:
            counts[study_id][state] += count
    best: dict[int, tuple[int, float] | None] = {}
    for study_id in chosen:
        spec = json.loads(rows[study_id].spec)
        its = spec["objective"]
        if its["metric"] == "gap" or any(its.get(key) for key in ("also", "at_most", "at_least")):
            trainer = spec["trainer"]
            objectives = ObjectiveSpec(**its).objectives(
                falls(trainer.get("score"), trainer.get("score_direction"))
            )
            first = objectives.best_of(records(connection, study_id, None) if known is None else known)
            if first is not None and first.value is not None:
                best[study_id] = first.number, objectives.primary.counted(first.value)
        else:
            best[study_id] = best_by_value(connection, study_id, minimize=rows[study_id].minimize)
    url = connection.engine.url
    driven = {i: is_living(connection, row) for i, row in rows.items()}
    return [
        _summary(url, name, rows[i], driven[i], counts[i], elsewhere[i], best.get(i))
        for name, i in ids.items()
    ]


def _summary(
    url: URL,
    name: str,
    row: Row[Any],
    is_driven: bool,
    counts: Mapping[str, int],
    elsewhere: int,
    best: tuple[int, float] | None,
) -> StudySummary:
    state, reason = StudyState(row.state), row.reason
    if state is StudyState.RUNNING and not is_driven:
        state, reason = StudyState.INTERRUPTED, GONE
    facts = json.loads(row.facts)
    home = Path(row.home) if row.home else None
    study_file = (facts.get(ORIGIN) or {}).get("file")
    spec = relocated(json.loads(row.spec), home, url, study_file)
    if study_file is not None:
        facts[ORIGIN] = relocated(facts[ORIGIN], home, url, study_file)
    return StudySummary(
        name=name,
        description=spec.get("description", ""),
        state=state,
        reason=reason,
        spec=spec,
        digest=row.digest,
        metric=row.metric,
        minimize=row.minimize,
        created_at=row.created_at,
        updated_at=row.updated_at,
        seconds=row.seconds,
        position=json.loads(row.position or "{}"),
        counts=counts,
        imported=elsewhere,
        best_value=best[1] if best else None,
        best_number=best[0] if best else None,
        facts=facts,
        identity=row.identity,
        is_driven=is_driven,
        machine=MachineReading.of_text(row.machine) if is_driven and row.machine else None,
    )
