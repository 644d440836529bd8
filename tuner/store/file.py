"""The SQLite file under a running study: whether it is still there, and a copy put back where it is not.

Whoever removes an open file takes away its name alone; all that was stored can still be read by
those who have it open. Knows no table.
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

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite calls the files beside a database."""


class DatabaseFile:
    """A file as it was when the study began; of a server's database nothing."""

    def __init__(self, engine: Engine) -> None:
        self._path = file_of(engine.url)
        self._inode = None if self._path is None else _inode(self._path)

    def require(self, engine: Engine, name: str) -> None:
        """Make sure that what is written still goes where it is looked for.

        Raises:
            StoreError: the file was removed or replaced. All that was stored lies in a copy now,
                under the old name where that was free.
        """
        path = self._path
        if path is None or (found := _inode(path)) == self._inode:
            return
        is_removed = found is None
        happened = f"{path}: was {'removed' if is_removed else 'replaced'} while study '{name}' ran"
        target = path if is_removed else path.with_name(f"{path.stem}.saved-{uuid4().hex[:8]}{path.suffix}")
        # It is looked after once: what is written on the way out goes to the file of the old name.
        self._path = None
        try:
            self._rescue(engine, target)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise StoreError(
                f"{happened}, and what it held could not be saved ({error}); restore a copy of it"
            ) from error
        if is_removed:
            raise StoreError(f"{happened}; all it held was put back, go on with: tune resume {quote(name)}")
        raise StoreError(
            f"{happened}; all it held was saved, go on with: tune resume {quote(name)} --storage sqlite:///{target}"
        )

    def _rescue(self, engine: Engine, target: Path) -> None:
        """Write what the open connections still see into a new file."""
        draft = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
        try:
            with engine.execution_options(tuner_begin=()).connect() as connection:
                held: Any = connection.connection.driver_connection
                with closing(sqlite3.connect(draft)) as copy:
                    held.backup(copy)
                    copy.execute("PRAGMA journal_mode=WAL")
            # What lies beside the old name belongs to the old file.
            engine.dispose()
            for companion in COMPANIONS:
                target.with_name(target.name + companion).unlink(missing_ok=True)
            # Whoever creates it meanwhile keeps it; not every file system has hard links for that.
            target.open("xb").close()
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
