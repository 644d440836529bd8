"""Actions: what a visitor may ask of a study, stored as a request that the study's driver reads.

Comments, and a new name or the removal of a study that nobody drives, are done at once, by the dashboard.
Only a dashboard that was started with `--allow-actions` takes any; see `core.request` for what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.core import words
from tuner.core.request import RequestKind
from tuner.errors import SpecError
from tuner.store import Database

COMMENT, RENAME, DELETE = AT_ONCE = ("comment", "rename", "delete")
"""What the dashboard does itself."""

_TOLD = {
    RequestKind.TRY.value: "it trains as soon as a row is free",
    RequestKind.END.value: "the trial ends after its epoch",
    RequestKind.STOP.value: "the study stops once its trials have checkpoints",
    RequestKind.RAISE.value: "the study goes on for as long",
}


def ask(url: str, given: Any) -> str:
    """Store a request.

    Args:
        url: the database.
        given: what the browser sent: ``study``, ``kind`` and ``content``, see `RequestKind`; a comment has
            ``text`` and, where it is on a trial, ``trial``; a new name is in ``name``, and a removal
            repeats the study's there.

    Returns:
        What becomes of it, in words.

    Raises:
        SpecError: it cannot be asked for; says why.
        StudyNotFound: there is no such study.
        StudyExists: another study has the new name.
        StudyLocked: it cannot be renamed or removed while a process drives it.
    """
    table = given if isinstance(given, Mapping) else {}
    content, name, kind = table.get("content"), str(table.get("study")), table.get("kind")
    if kind not in (*_TOLD, *AT_ONCE):
        raise SpecError(f"kind: {words.listed([*_TOLD, *AT_ONCE], last='or')} is needed, found {kind!r}")
    told = content if isinstance(content, Mapping) else {}
    with Database.open(url) as database:
        if kind == DELETE:
            if told.get("name") != name:
                raise SpecError(f"name: the study's own is needed, {name!r}; found {told.get('name')!r}")
            database.delete_study(name)
            return f"deleted '{name}'"
        if kind == RENAME:
            database.rename_study(name, str(told.get("name", "")), "renamed on the dashboard")
            return f"renamed to '{told['name']}'"
        if kind == COMMENT:
            database.comment(name, str(told.get("text", "")), told.get("trial"))
            return "kept"
        summary = database.ask(name, RequestKind(kind), told)
    if kind == RequestKind.TRY and not summary.is_driven:
        return f"noted; it trains when the study goes on: {summary.goes_on}"
    return f"noted; {_TOLD[kind]}"
