"""The folders of studies' files, stored relative to the database, so that both can move together.

Beside an SQLite file in ``tuner_models``; for a server's database where the root was said to be, else
below the working folder in which the study began. The stored path is untrusted: it leads to no
folder but one that is named for the study, and the folder's mark says whether it is.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import URL, Connection, select

from tuner.artifacts import Artifacts, RemoteArtifacts, folder_name, is_folder_name, mark_at, root_of
from tuner.errors import StoreError
from tuner.store.connect import display_url, file_of
from tuner.store.relocation import home_of
from tuner.store.schema import studies, tuner_studies, tuner_trials

_LONGEST = 3_000
"""Characters of a place, with room for the names below it."""

ROOT = "tuner_models"
"""The folder of the folders of all studies, where nothing says another one."""


def first_place(url: URL, study: str, identity: str, given: Path | str | None) -> str:
    """Where the files of a new study go, as it is stored.

    Args:
        url: the database.
        study: the study's name.
        identity: the study's.
        given: the root, where it was said.
    """
    return stored(url, _below(given or default_root(url), folder_name(study, identity)))


def default_root(url: URL) -> Path:
    """The folder of the folders of new studies, where nothing says another one."""
    return home_of(url) / ROOT


def stored(url: URL, place: Path | str) -> str:
    """How the database stores a place: a folder from its own where it is below that, else as it is."""
    home = home_of(url)
    if isinstance(place, Path) and file_of(url) is not None and place.is_relative_to(home):
        return place.relative_to(home).as_posix()
    return str(place)


def artifacts(
    connection: Connection, study_id: int, given: Path | str | None, *, synced: bool = False
) -> Artifacts:
    """The files of a stored study, where they are.

    Args:
        connection: to the database.
        study_id: the study's id.
        given: the root, where it was said; the stored one stays as long as the files are there.
        synced: see `Artifacts`.

    Raises:
        StoreError: the stored path is not one that tuner makes; another program has stored it.
    """
    name, identity, place = stored_place(connection, study_id)
    if given is not None and (other := _below(given, _leaf(place))) != place:
        stays = _is_there(place, if_unknown=True) and not _is_there(other, if_unknown=False)
        place = place if stays else other
    return files_in(connection, name, identity, place, synced=synced)


def files_in(
    connection: Connection, name: str, identity: str, place: Path | str, *, synced: bool = False
) -> Artifacts:
    """The files of a study in a folder, or in an object store."""
    url = connection.engine.url
    if isinstance(place, Path):
        return Artifacts(place, identity, name, _seen_from(place, url), synced)
    here, database = default_root(url) / _leaf(place), str(file_of(url) or display_url(url))
    return RemoteArtifacts(here, identity, name, database, synced, place)


def _below(root: Path | str, leaf: str) -> Path | str:
    return root / leaf if isinstance(root, Path) else f"{root}/{leaf}"


def _leaf(place: Path | str) -> str:
    return PurePosixPath(place).name


def stored_place(connection: Connection, study_id: int) -> tuple[str, str, Path | str]:
    """A study's name and identity, and the folder or the URL that is stored for its files.

    Raises:
        StoreError: see `artifacts`.
    """
    url = connection.engine.url
    name, identity, text = connection.execute(
        select(studies.c.study_name, tuner_studies.c.identity, tuner_studies.c.models)
        .join(tuner_studies, tuner_studies.c.study_id == studies.c.study_id)
        .where(studies.c.study_id == study_id)
    ).one()
    if not is_given(text, identity):
        raise StoreError(
            f"{display_url(url)}: study '{name}': {text[:200]!r}, stored as the folder of its models, is no "
            "folder that tuner makes, so nothing is read or removed there; restore a copy of the database"
        )
    return name, identity, text if "://" in text else home_of(url) / text


def is_given(text: Any, identity: str) -> bool:
    """Whether a stored path has the form that tuner writes; another program may have stored anything."""
    if not isinstance(text, str) or len(text) > _LONGEST or "\0" in text:
        return False
    parts = PurePosixPath(text).parts
    if not parts or any(part == ".." or len(os.fsencode(part)) > 255 for part in parts):
        return False
    return is_folder_name(parts[-1], identity)


def owned(
    connection: Connection, study_id: int, given: Path | str | None, *, is_said: bool, synced: bool = False
) -> Artifacts:
    """The files of a study, which may be written and removed for this database and are marked so.

    A database that was copied beside its original shares the original's files and may only read
    them. One that was moved, with its files or without, takes them along.

    Args:
        connection: to the database.
        study_id: the study's id.
        given: see `artifacts`.
        is_said: whether the user has said where they lie, and so that they are this database's.
        synced: see `Artifacts`.

    Raises:
        StoreError: they are another database's, or another study's.
    """
    files = artifacts(connection, study_id, given, synced=synced)
    files.require()
    url, owner = connection.engine.url, files.owner
    if owner is None or owner == files.database:
        return files
    mine = file_of(url)
    if mine is None:
        is_others = not is_said
    else:
        theirs = files.folder.resolve() / owner
        is_others = not is_same_database(url, files.folder, owner) and _holds(theirs, files.identity)
    if is_others:
        how = (
            f"put the copy and {files.folder.parent.name} together into a folder of their own"
            if mine is not None
            else "if that is this one under another address, say so: --models " + str(files.folder.parent)
        )
        raise StoreError(
            f"study '{files.study}': its files in {files.folder} belong to the database {owner}, and "
            f"{display_url(url)} is another one with the same study; {how}"
        )
    files.mark()
    return files


def moved(connection: Connection, study_id: int, now: Path | str, given: Path | str | None) -> list[str]:
    """Notes for a resumed study whose files are not where the store or the option says.

    Args:
        connection: to the database.
        study_id: the study's id.
        now: the folder or the URL that it goes on with.
        given: the root, where it was said.
    """
    _, _, before = stored_place(connection, study_id)
    kept = tuner_trials.c.study_id == study_id, tuner_trials.c.model_path.is_not(None)
    has_models = connection.scalar(select(tuner_trials.c.number).where(*kept).limit(1)) is not None
    root = root_of(now)
    if has_models and not _is_there(now, if_unknown=True):
        lost = f"models: those kept so far are not in {root}"
        return [f"{lost}; put {_leaf(now)} there, or say where it is: --models"]
    if now != before:
        return [f"models: in {root} from now on, no longer in {root_of(before)}"]
    if given is not None and given != root:
        return [f"models: stay in {root}, where the study has them, not in {given}"]
    return []


def is_same_database(url: URL, folder: Path, owner: str) -> bool:
    """Whether the mark in a folder means this database."""
    mine = file_of(url)
    if mine is None:
        return owner == display_url(url)
    theirs = folder.resolve() / owner
    return theirs.is_file() and theirs.samefile(mine)


def _is_there(place: Path | str, *, if_unknown: bool) -> bool:
    """Whether there is a readable folder, or a study's mark; an error is raised later, when it is used.

    Args:
        place: the folder, or the URL.
        if_unknown: what is taken for true of an object store that is out of reach.
    """
    try:
        return place.is_dir() if isinstance(place, Path) else bool(mark_at(place))
    except OSError:
        return False
    except StoreError:
        return if_unknown


def _holds(file: Path, identity: str) -> bool:
    """Whether an SQLite file has the study."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            asked = "SELECT 1 FROM tuner_studies WHERE identity = ?"
            return connection.execute(asked, (identity,)).fetchone() is not None
    except (sqlite3.Error, ValueError):
        return False


def _seen_from(folder: Path, url: URL) -> str:
    """What a mark in the folder calls the database."""
    file = file_of(url)
    if file is None:
        return display_url(url)
    file, folder = file.resolve(), folder.resolve()
    return os.path.relpath(file, folder) if folder.is_relative_to(file.parent) else str(file)
