"""Faults in the files of studies: missing or foreign models, and files of deleted studies."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from tuner.artifacts import marks
from tuner.errors import StoreError, TrialError
from tuner.store import artifact_folders
from tuner.store.schema import tuner_studies

Fault = tuple[int | None, str, str]
"""The trial, what is wrong, and what to do."""


def of_study(
    connection: Connection, study_id: int, rows: Sequence[Row[Any]], root: Path | None
) -> Iterator[Fault]:
    """Whether the models that a study names are there and its own.

    Args:
        connection: to the database.
        study_id: the study.
        rows: its trials.
        root: the folder for the models of all studies, where it was said.
    """
    try:
        files = artifact_folders.artifacts(connection, study_id, root)
        files.require()
    except StoreError as error:
        yield None, *_split(error)
        return
    for row in rows:
        if row.model_path is None:
            continue
        if row.model_path != str(row.number):
            what = f"its model is stored as '{row.model_path}' instead of its number"
            yield row.number, what, "restore a copy of the database"
        try:
            if files.get(row.number) is None:
                yield row.number, f"its model is not in {files.path(row.number)}", "put the folder back"
        except (StoreError, TrialError) as error:
            yield row.number, *_split(error)


def unnamed(connection: Connection, study_id: int, numbers: Collection[int], root: Path | None) -> list[int]:
    """Numbers of models that lie among a study's and that no trial names: a process was killed."""
    try:
        return sorted(artifact_folders.artifacts(connection, study_id, root).models() - set(numbers))
    except (OSError, StoreError):
        return []


def orphans(connection: Connection, given: Path | None) -> Iterator[tuple[str, str]]:
    """Folders of studies that this database had and has no more; what there is to say of each, and to do."""
    url = connection.engine.url
    ids = connection.execute(select(tuner_studies.c.study_id, tuner_studies.c.identity)).all()
    known = {identity for _, identity in ids}
    roots: set[Path] = {given or artifact_folders.default_root(url)}
    for study_id, _ in ids:
        try:
            roots.add(artifact_folders.artifacts(connection, study_id, given).folder.parent)
        except StoreError:
            continue
    for root in sorted(roots):
        for folder, mark in sorted(marks(root).items()):
            is_ours = artifact_folders.is_same_database(url, folder, str(mark.get("database")))
            if mark.get("identity") not in known and is_ours:
                what = f"{folder} holds the files of a study '{mark.get('study')}' that is not here any more"
                yield what, f"if they are not needed: rm -r {shlex.quote(str(folder))}"


def _split(error: Exception) -> tuple[str, str]:
    what, _, to_do = str(error).rpartition("; ")
    return what or to_do, to_do
