"""The SQLite file of a running study: checks that it is still there; if not, saves its content.

Removing an open file only takes its name away: the connections that have it open still read all that was
stored. Without this, a study whose file is removed would go on and lose everything at its end.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tuner.errors import StoreError
from tuner.store.connect import file_of


class DatabaseFile:
    """A file as it was when the study began; nothing of a server's database."""

    def __init__(self, engine: Engine) -> None:
        self._path = file_of(engine.url)
        self._inode = None if self._path is None else _inode(self._path)

    def require(self, engine: Engine, name: str) -> None:
        """Check that writes still go to the file at this path.

        Raises:
            StoreError: the file was removed or replaced. All that was stored is in a file beside it now.
        """
        path = self._path
        if path is None or (found := _inode(path)) == self._inode:
            return
        happened = f"{path}: was {'removed' if found is None else 'replaced'} while study '{name}' ran"
        self._path = None  # checked once: what is written on the way out may go to the file without a name
        saved = path.with_name(f"{path.stem}.saved-{uuid4().hex[:8]}{path.suffix}")
        try:
            with engine.execution_options(tuner_begin=()).connect() as connection:
                held: Any = connection.connection.driver_connection
                with closing(sqlite3.connect(saved)) as copy:
                    held.backup(copy)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            saved.unlink(missing_ok=True)
            raise StoreError(
                f"{happened}, and what it held could not be saved ({error}); restore a copy of it"
            ) from error
        raise StoreError(
            f"{happened}; all it held was saved, go on with: tune resume {quote(name)} "
            f"--storage sqlite:///{saved}"
        )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
