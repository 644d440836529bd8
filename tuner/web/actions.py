"""Actions: what a visitor may ask of a study, stored as a request that the study's driver reads; comments.

Only a dashboard that was started with `--allow-actions` takes any; see `core.request` for what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.core import words
from tuner.core.request import RequestKind
from tuner.errors import SpecError
from tuner.store import Database

COMMENT = "comment"
"""What is written down at once, by the dashboard itself."""

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
            ``text`` and, where it is on a trial, ``trial``.

    Returns:
        What becomes of it, in words.

    Raises:
        SpecError: it cannot be asked for; says why.
        StudyNotFound: there is no such study.
    """
    table = given if isinstance(given, Mapping) else {}
    content, name, kind = table.get("content"), str(table.get("study")), table.get("kind")
    if kind not in (*_TOLD, COMMENT):
        raise SpecError(f"kind: {words.listed([*_TOLD, COMMENT], last='or')} is needed, found {kind!r}")
    with Database.open(url) as database:
        if kind == COMMENT:
            told = content if isinstance(content, Mapping) else {}
            database.comment(name, str(told.get("text", "")), told.get("trial"))
            return "kept"
        summary = database.ask(name, RequestKind(kind), content if isinstance(content, Mapping) else {})
    if kind == RequestKind.TRY and not summary.is_driven:
        return f"noted; it trains when the study goes on: {summary.goes_on}"
    return f"noted; {_TOLD[kind]}"
