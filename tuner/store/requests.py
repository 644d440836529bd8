"""Rows of requests: what somebody asks of a study, checked before, and what became of it; see `core.request`.

Whoever asks writes a row; the study's driver reads those without an answer, and stores the answers in
the transaction of the turn that carries them out. Each function runs within the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from tuner.core import words
from tuner.core.budget import AMOUNTS
from tuner.core.request import Request, RequestKind
from tuner.errors import SpecError
from tuner.store import foreign_trials, read
from tuner.store.encoding import REASON, now, stamp, storable
from tuner.store.schema import tuner_requests
from tuner.store.values import StudySummary

_OPEN = (
    select(tuner_requests.c.request_id, tuner_requests.c.kind, tuner_requests.c.content)
    .where(tuner_requests.c.study_id == bindparam("study"), tuner_requests.c.answered_at.is_(None))
    .order_by(tuner_requests.c.request_id)
)


def add(
    connection: Connection, study_id: int, asked: Iterable[tuple[RequestKind, Mapping[str, Any]]]
) -> None:
    """Ask for something."""
    at = stamp(now())
    rows = [
        {"study_id": study_id, "at": at, "kind": kind.value, "content": json.dumps(dict(content))}
        for kind, content in asked
    ]
    if rows:
        connection.execute(tuner_requests.insert(), rows)


def unanswered(connection: Connection, study_id: int) -> list[Request]:
    """What is asked for here and not answered yet, the oldest first."""
    found = connection.execute(_OPEN, {"study": study_id})
    return [Request(i, RequestKind(kind), json.loads(content)) for i, kind, content in found]


def enqueued(connection: Connection, study_id: int, among: Iterable[int], after: int) -> list[Request]:
    """What plain Optuna's `enqueue_trial` asks for, see `foreign_trials.waiting`."""
    waiting = foreign_trials.waiting(connection, study_id, among, after)
    return [Request(i, RequestKind.TRY, params, is_optunas=True) for i, params in waiting.items()]


def answer(connection: Connection, answers: Mapping[int, str]) -> None:
    """Note what became of requests, by id."""
    at = stamp(now())
    for request_id, text in answers.items():
        connection.execute(
            update(tuner_requests)
            .where(tuner_requests.c.request_id == request_id)
            .values(answered_at=at, answer=storable(text, REASON))
        )


def outdate(connection: Connection, study_id: int) -> None:
    """Note that a process has ended before it could be stopped; the next one is not stopped for that."""
    stops = [each.id for each in unanswered(connection, study_id) if each.kind is RequestKind.STOP]
    answer(connection, dict.fromkeys(stops, "the process that was to stop had ended"))


def refuse(connection: Connection, reasons: Sequence[tuple[Request, str]]) -> None:
    """Note why configurations are not trained; those of Optuna fail, and stay Optuna's."""
    answer(connection, {request.id: text for request, text in reasons if not request.is_optunas})
    for request, text in reasons:
        if request.is_optunas:
            foreign_trials.refuse(connection, request.id, storable(text, REASON) or "")


def checked(
    connection: Connection,
    study_id: int,
    summary: StudySummary,
    kind: RequestKind,
    content: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of a request as it is stored.

    Args:
        connection: in a transaction.
        study_id: the study.
        summary: likewise.
        kind: what is asked for.
        content: see `RequestKind`; a configuration may leave out what has its default.

    Raises:
        SpecError: it cannot be done; says why, and what can.
    """
    if kind is RequestKind.TRY:
        return dict(summary.parsed.search_space().completed(content))
    name = summary.name
    if kind is RequestKind.RAISE:
        limits = {key: value for key, value in content.items() if value is not None}
        options = " ".join(f"--{key} {value}" for key, value in limits.items())
        _require_driven(summary, f"raise it as it goes on: tune resume {quote(name)} {options}")
        _require_higher(summary, limits)
        return limits
    if kind is RequestKind.STOP:
        _require_driven(summary, "there is nothing to stop")
        return {}
    _require_driven(summary, "its trials do not train")
    number = content.get("trial")
    if not isinstance(number, int) or isinstance(number, bool):
        raise SpecError(f"{name}: trial: a number is needed, found {number!r}")
    state = read.state_of(connection, study_id, number)
    if state is None or state.is_over:
        why = f"there is no trial {number}" if state is None else f"trial {number} has ended already"
        raise SpecError(f"{name}: {why}")
    return {"trial": number}


def _require_driven(summary: StudySummary, what_then: str) -> None:
    if not summary.is_driven:
        raise SpecError(f"no process drives '{summary.name}': {what_then}")


def _require_higher(summary: StudySummary, limits: Mapping[str, Any]) -> None:
    if not limits:
        raise SpecError(f"{summary.name}: which limit? Give one of {', '.join(AMOUNTS)}")
    if unknown := sorted(limits.keys() - set(AMOUNTS)):
        raise SpecError(f"{summary.name}: {', '.join(unknown)}: only {words.listed(AMOUNTS)} can be raised")
    old, new = summary.parsed.budget, summary.parsed.extended("budget", limits).budget
    for key in limits:
        before, after = getattr(old, key), getattr(new, key)
        if before is None:
            raise SpecError(f"{summary.name}: it has no limit of {key} that could be raised")
        if after <= before:
            raise SpecError(
                f"{summary.name}: {key}: {after:g} is not above {before:g}; to end it now: "
                f"tune stop {quote(summary.name)}"
            )
