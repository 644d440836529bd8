"""Models that were kept before tables of version 5, in folders named for studies, find their new folders.

Nothing but the models of the trials that the database has is moved: two databases may have shared such
a folder. Called whenever a database of an earlier version is opened, for the first time may be cut off.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, func, select

from tuner.artifacts import name_before_5
from tuner.store import places
from tuner.store.connect import place, told
from tuner.store.schema import studies, tuner_migrations, tuner_studies, tuner_trials, version

_LOG = logging.getLogger(__name__)
_FIRST = 5
"""The version from which on every model carries its study's identity."""


def take_over(engine: Engine, *, moves: bool) -> None:
    """Move what lies in the folders of earlier versions; what stays there is told to the log.

    Args:
        engine: of the database.
        moves: False where it is read on media that cannot be written.
    """
    with told(place(engine.url)), engine.begin() as connection:
        if version(connection) is None:
            return
        count = select(func.count()).select_from(tuner_migrations).where(tuner_migrations.c.version < _FIRST)
        if not connection.scalar(count):
            return
        for name, study_id in connection.execute(
            select(studies.c.study_name, studies.c.study_id).join(
                tuner_studies, tuner_studies.c.study_id == studies.c.study_id
            )
        ).all():
            _, identity, folder = places.stored_folder(connection, study_id)
            former = name_before_5(name)
            older = folder.with_name(former) if former is not None else folder
            if older == folder or older.is_symlink() or not older.is_dir():
                continue
            if not moves:
                _tell(name, older, "they are moved when the database is first opened where it can be written")
                continue
            files = places.files_in(connection, name, identity, folder)
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
