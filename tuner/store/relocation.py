"""Files that a study names and that were moved or copied: where they are now.

A study names its code, its data and its own file by whole paths, so that workers find them from
anywhere. With each goes the folder in which the database was then, its home.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tuner.content import FOLDERS
from tuner.store.connect import file_of


def home_of(url: URL) -> Path:
    """The folder of an SQLite file, with links resolved; for a server's database the working folder."""
    file = file_of(url)
    return Path.cwd() if file is None else file.resolve().parent


def relocated(table: Any, before: Path | None, url: URL, study_file: str | None) -> Any:
    """A study's table with the files that it names where they are now.

    Beside a database that was moved or copied, its own files come first: a copy reads nothing of its
    original's. Elsewhere a file that is gone is looked for in the working folder.

    Args:
        table: as it is stored, with whole paths.
        before: the database's home when it was stored; None where that is not known.
        url: the database.
        study_file: the study's own file, as it was then.
    """
    home = home_of(url)
    moved = before if before is not None and before != home and file_of(url) is not None else None

    def path(text: str) -> str:
        file, colon, attribute = text.rpartition(":") if ".py:" in text else (text, "", "")
        old = Path(file)
        if not old.is_absolute():
            return text
        if (
            moved is not None
            and old.is_relative_to(moved)
            and (new := home / old.relative_to(moved)).is_file()
        ):
            return f"{new}{colon}{attribute}"
        if study_file is None or old.is_file():
            return text
        project = Path(study_file).parent
        project = project.parent if project.name == FOLDERS["study"] else project
        if old.is_relative_to(project) and (new := Path.cwd() / old.relative_to(project)).is_file():
            return f"{new}{colon}{attribute}"
        return text

    def walk(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: walk(each) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each) for each in value]
        return path(value) if isinstance(value, str) else value

    return walk(table)
