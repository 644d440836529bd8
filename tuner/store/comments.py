"""Comments on a study and its trials, as one of Optuna's user attributes of the study.

Plain Optuna reads them as ``study.user_attrs["comments"]``: texts by trial number, the study's own under "".
Anybody may write them at any time, whoever drives the study.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select

from tuner.store.schema import study_user_attributes

KEY = "comments"
MOST = 2_000
"""Characters of a comment."""

_OF = study_user_attributes.c


def read(connection: Connection, study_id: int) -> dict[int | None, str]:
    """The comments by trial number; None: on the study."""
    mine = (_OF.study_id == study_id, _OF.key == KEY)
    text = connection.scalar(select(_OF.value_json).where(*mine))
    found = json.loads(text) if text else {}
    if not isinstance(found, Mapping):
        return {}  # somebody else's
    return {int(n) if n else None: str(t) for n, t in found.items() if not n or n.isdecimal()}


def write(connection: Connection, study_id: int, number: int | None, text: str) -> None:
    """Put a comment in the place of the one that is there; an empty one removes it."""
    found = {**read(connection, study_id), number: text}
    table = {"" if n is None else str(n): t for n, t in found.items() if t}
    mine = (_OF.study_id == study_id, _OF.key == KEY)
    connection.execute(study_user_attributes.delete().where(*mine))
    if table:
        row = {"study_id": study_id, "key": KEY, "value_json": json.dumps(table)}
        connection.execute(study_user_attributes.insert(), row)
