"""Reads studies, trials and curves as rows, without Optuna and without any object mapping.

Writes nothing, and never touches Optuna's tables but for the studies' names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import nan
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from sqlalchemy import URL, Connection, Row, and_, case, func, select

from tuner.artifacts import Artifacts
from tuner.core.budget import StudyState
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.store import places
from tuner.store.encoding import order_of
from tuner.store.lease import is_living
from tuner.store.relocation import relocated
from tuner.store.schema import (
    studies,
    tuner_confirmations,
    tuner_epochs,
    tuner_lease,
    tuner_specs,
    tuner_studies,
    tuner_trials,
)

_READING = (
    tuner_epochs.c.epoch,
    tuner_epochs.c.train_loss,
    tuner_epochs.c.val_loss,
    tuner_epochs.c.train_score,
    tuner_epochs.c.val_score,
    tuner_epochs.c.learning_rate,
    tuner_epochs.c.grad_norm,
    tuner_epochs.c.seconds,
    tuner_epochs.c.extras,
)

_UNDER_WAY = (TrialState.WAITING, TrialState.RUNNING)
"""The states in which a trial's value is not stored yet, but follows from its curve."""


_STATES = {state.value: state for state in TrialState}
_NO_EXTRAS: Mapping[str, float] = {}

GONE = "its process ended without a word"
"""The reason of a study that is neither finished nor driven by anybody."""

ORIGIN = "origin"
"""The fact that remembers the file from which a study was started."""

CONFIRMS = "confirms"
"""The fact by which a study of trainings that confirm another one says which."""


@dataclass(frozen=True, slots=True)
class StudySummary:
    """How a stored study stands.

    Attributes:
        name: its name.
        description: `description` of its file.
        state: INTERRUPTED also where its process died without a word.
        reason: why it ended, in words; None while it runs.
        spec: the study file's table, for `StudySpec.parse`.
        digest: the spec's hash.
        metric: what is searched for.
        minimize: whether less of it is better.
        created_at: UTC, ISO 8601; sorts as text.
        updated_at: likewise, of the last turn.
        seconds: wall time over all its sessions.
        position: where its executor stood, see `Turn.position`.
        counts: trials by state name, every state named.
        best_value: the best value among those that stand (`Stop.conclusive`), else among all but failed ones;
            one that violates a bound is the best only where all do.
        best_number: the first trial with it.
        facts: what was noted about data, device, executor, ...
        identity: what no other study has, in this database or another one: 32 hexadecimal digits.
        is_driven: whether a living process drives it now.
    """

    name: str
    description: str
    state: StudyState
    reason: str | None
    spec: Mapping[str, Any]
    digest: str
    metric: str
    minimize: bool
    created_at: str
    updated_at: str
    seconds: float
    position: Mapping[str, Any]
    counts: Mapping[str, int]
    best_value: float | None
    best_number: int | None
    facts: Mapping[str, Any]
    identity: str
    is_driven: bool

    @property
    def confirms(self) -> str | None:
        """The study of which it holds the best trials, trained again; None for every other study."""
        return self.facts.get(CONFIRMS)


@dataclass(frozen=True, slots=True)
class SpecRevision:
    """One of the specs that a study has had.

    Attributes:
        at: since when, UTC, ISO 8601.
        command: what brought it; empty where an earlier tuner did not note it.
        changes: what differs from the one before, a sentence each.
        digest: the spec's hash.
        spec: its table, for `StudySpec.parse`.
    """

    at: str
    command: str
    changes: tuple[str, ...]
    digest: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredConfirmation:
    """One confirmation of a study.

    Attributes:
        number: 1 for the first.
        at: when it began to judge, UTC, ISO 8601.
        command: which command did.
        host: on which machine.
        opened: whether the locked test split was read for it.
        result: what came of it, as JSON has it; None where it was cut off, and goes on.
    """

    number: int
    at: str
    command: str
    host: str
    opened: bool
    result: Mapping[str, Any] | None


def study_ids(connection: Connection) -> dict[str, int]:
    """The ids of our studies by name, the newest first."""
    found = connection.execute(
        select(studies.c.study_name, studies.c.study_id)
        .join(tuner_studies, tuner_studies.c.study_id == studies.c.study_id)
        .order_by(tuner_studies.c.created_at.desc(), studies.c.study_id.desc())
    )
    return dict(found.all())


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


def confirmed(connection: Connection, study_id: int, root: Path | None) -> dict[str, Any] | None:
    """What came of a study's last confirmation; None where it was never confirmed.

    Of its model's path only the trial's number is stored, or counts; the path follows from it.
    """
    done = [each.result for each in confirmations(connection, study_id) if each.result is not None]
    if not done:
        return None
    number = Path(done[-1].get("model_path") or "").name
    trained = study_ids(connection).get(done[-1]["confirmed_by"]) if number.isdecimal() else None
    path = None if trained is None else places.artifacts(connection, trained, root).path(int(number))
    return {**done[-1], "model_path": None if path is None else str(path)}


def summaries(connection: Connection, ids: Mapping[str, int]) -> list[StudySummary]:
    """How the studies of these ids stand, in their order."""
    chosen = list(ids.values())
    rows = {
        row.study_id: row
        for row in connection.execute(
            select(
                tuner_studies,
                tuner_lease.c.host,
                tuner_lease.c.pid,
                tuner_lease.c.process_start,
                tuner_lease.c.heartbeat,
                tuner_lease.c.token,
            )
            .outerjoin(tuner_lease, tuner_lease.c.study_id == tuner_studies.c.study_id)
            .where(tuner_studies.c.study_id.in_(chosen))
        )
    }
    counts: dict[int, dict[str, int]] = {i: {state.value: 0 for state in TrialState} for i in chosen}
    for study_id, state, count in connection.execute(
        select(tuner_trials.c.study_id, tuner_trials.c.state, func.count())
        .where(tuner_trials.c.study_id.in_(chosen))
        .group_by(tuner_trials.c.study_id, tuner_trials.c.state)
    ):
        counts[study_id][state] = count
    best = _best(connection, chosen)
    for study_id in chosen:
        spec = json.loads(rows[study_id].spec)
        its = spec["objective"]
        if its["metric"] == "gap" or any(its.get(key) for key in ("also", "at_most", "at_least")):
            goals = StudySpec.parse(spec).goals()
            first = goals.best_of(records(connection, study_id, None))
            if first is not None and first.value is not None:
                best[study_id] = first.number, goals.primary.counted(first.value)
    url = connection.engine.url
    return [_summary(url, name, rows[i], counts[i], best.get(i)) for name, i in ids.items()]


def _best(connection: Connection, chosen: Sequence[int]) -> dict[int, tuple[int, float]]:
    """Number and value of each study's best trial."""
    rank = func.row_number().over(
        partition_by=tuner_trials.c.study_id,
        order_by=(
            case((tuner_trials.c.conclusive, 0), else_=1),
            case((tuner_studies.c.minimize, tuner_trials.c.value), else_=-tuner_trials.c.value),
            tuner_trials.c.number,
        ),
    )
    ranked = (
        select(tuner_trials.c.study_id, tuner_trials.c.number, tuner_trials.c.value, rank.label("rank"))
        .join(tuner_studies, tuner_studies.c.study_id == tuner_trials.c.study_id)
        .where(
            tuner_trials.c.study_id.in_(chosen),
            tuner_trials.c.value.is_not(None),
            tuner_trials.c.state != TrialState.FAILED.value,
        )
        .subquery()
    )
    found = connection.execute(
        select(ranked.c.study_id, ranked.c.number, ranked.c.value).where(ranked.c.rank == 1)
    )
    return {study_id: (number, value) for study_id, number, value in found}


def _summary(
    url: URL, name: str, row: Row[Any], counts: Mapping[str, int], best: tuple[int, float] | None
) -> StudySummary:
    is_driven = row.host is not None and is_living(
        row.host, row.pid, row.process_start, row.heartbeat, row.token
    )
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
        best_value=best[1] if best else None,
        best_number=best[0] if best else None,
        facts=facts,
        identity=row.identity,
        is_driven=is_driven,
    )


def records(connection: Connection, study_id: int, root: Path | None) -> list[TrialRecord]:
    """Every trial of a study in the order of numbers; of those not over, as far as they are.

    Args:
        connection: to the database.
        study_id: the study.
        root: the folder for the models of all studies, where it was said.
    """
    rows = connection.execute(
        select(
            tuner_trials.c.number,
            tuner_trials.c.params,
            tuner_trials.c.state,
            tuner_trials.c.value,
            tuner_trials.c.epochs,
            tuner_trials.c.conclusive,
            tuner_trials.c.rule,
            tuner_trials.c.reason,
            tuner_trials.c.traceback,
            tuner_trials.c.seconds.label("trained_s"),
            tuner_trials.c.interruptions,
            tuner_trials.c.model_path,
            tuner_trials.c.started_at,
            tuner_trials.c.ended_at,
            tuner_trials.c.ordered,
            tuner_trials.c.paused_at,
            *_READING,
        )
        .outerjoin(
            tuner_epochs,
            and_(
                tuner_epochs.c.trial_id == tuner_trials.c.trial_id,
                tuner_epochs.c.epoch == tuner_trials.c.best_epoch,
            ),
        )
        .where(tuner_trials.c.study_id == study_id)
        .order_by(tuner_trials.c.number)
    ).all()
    files = places.artifacts(connection, study_id, root)
    found = [_record(row, files) for row in rows]
    if not any(record.state in _UNDER_WAY for record in found):
        return found
    goal = connection.execute(
        select(tuner_studies.c.metric, tuner_studies.c.minimize).where(tuner_studies.c.study_id == study_id)
    ).one()
    under_way = _curves(
        connection, tuner_trials.c.study_id == study_id, tuner_trials.c.state.in_(map(str, _UNDER_WAY))
    )
    objective = Objective(goal.metric, goal.minimize)
    return [
        _so_far(record, under_way.get(record.number, []), objective) if record.state in _UNDER_WAY else record
        for record in found
    ]


def _record(row: Sequence[Any], files: Artifacts) -> TrialRecord:
    """A trial from a row, as `records` selects it: by place, for there may be very many."""
    (
        number, params, state, value, epochs, conclusive, rule, reason, traceback, trained_s, interruptions,
        model_path, started_at, ended_at, ordered, paused_at, *reading,
    ) = row  # fmt: skip
    return TrialRecord(
        number=number,
        params=from_json(params, cache_strings="all"),
        state=_STATES[state],
        value=value,
        best=_reading(*reading) if reading[0] is not None else None,
        epochs=epochs,
        conclusive=conclusive,
        rule=rule,
        reason=reason,
        traceback=traceback,
        seconds=trained_s,
        interruptions=interruptions,
        # Where it lies follows from its number; what else may be stored there leads nowhere.
        model_path=str(files.path(number)) if model_path is not None else None,
        started_at=started_at,
        ended_at=ended_at,
        paused_at=paused_at,
        order=order_of(ordered) if ordered is not None else None,
    )


def _so_far(record: TrialRecord, curve: Sequence[Reading], objective: Objective) -> TrialRecord:
    best = objective.best(curve)
    return replace(
        record,
        value=objective.of(best) if best is not None else None,
        best=best,
        epochs=len(curve),
        seconds=sum((reading.seconds for reading in curve), 0.0),
    )


def each_curve(
    connection: Connection, study_id: int, number: int | None = None, *, is_over: bool | None = None
) -> Iterator[tuple[int, list[Reading]]]:
    """Number and curve of each trial that has readings, in the order of numbers, one at a time.

    Args:
        connection: in a transaction.
        study_id: the study.
        number: of this trial only.
        is_over: of trials that are over only, or of those that are not.
    """
    conditions = [tuner_trials.c.study_id == study_id]
    if number is not None:
        conditions.append(tuner_trials.c.number == number)
    if is_over is not None:
        states = [state.value for state in TrialState if state.is_over is is_over]
        conditions.append(tuner_trials.c.state.in_(states))
    return _each_curve(connection, *conditions)


def _curves(connection: Connection, *conditions: Any) -> dict[int, list[Reading]]:
    return dict(_each_curve(connection, *conditions))


def _each_curve(connection: Connection, *conditions: Any) -> Iterator[tuple[int, list[Reading]]]:
    rows = connection.execute(
        select(tuner_trials.c.number, *_READING)
        .join(tuner_epochs, tuner_epochs.c.trial_id == tuner_trials.c.trial_id)
        .where(*conditions)
        .order_by(tuner_trials.c.number, tuner_epochs.c.epoch),
        execution_options={"yield_per": 10_000},
    )
    for number, its_rows in groupby(rows, key=itemgetter(0)):
        yield number, [_reading(*numbers) for _, *numbers in its_rows]


def _reading(
    epoch: int,
    train_loss: float | None,
    val_loss: float | None,
    train_score: float | None,
    val_score: float | None,
    learning_rate: float | None,
    grad_norm: float | None,
    seconds: float | None,
    extras: str | None,
) -> Reading:
    return Reading(
        epoch,
        nan if train_loss is None else train_loss,
        nan if val_loss is None else val_loss,
        nan if train_score is None else train_score,
        nan if val_score is None else val_score,
        nan if learning_rate is None else learning_rate,
        nan if grad_norm is None else grad_norm,
        nan if seconds is None else seconds,
        json.loads(extras) if extras is not None else _NO_EXTRAS,
    )
