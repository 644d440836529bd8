"""A temporary copy of an SQLite file that cannot be opened where it is, on read-only media.

SQLite needs two further files beside a database with a write-ahead log, and tables of an earlier version
must be brought to this one before they are read. On read-only media both happen to a copy in the
temporary folder, made once per process and again when the file has changed. Nothing that is written to the
copy would be kept, so `connect` opens it read-only.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

from sqlalchemy import URL

from tuner.errors import StoreError
from tuner.store.connect import connect, display_url, file_of
from tuner.store.migrations import migrate
from tuner.store.schema import VERSION

_TRIES = 3
"""How often a file is copied that another program changes meanwhile."""

_COPIES: dict[Path, tuple[tuple[int, ...], Path]] = {}
_LOCK = Lock()


def temporary_copy(url: URL, *, migrated: bool = True) -> Path | None:
    """The copy to open in place of a database's file; None where the file itself can be opened.

    Args:
        url: the database.
        migrated: bring the copy's tables to this version.

    Raises:
        StoreError: there is no room for a copy, or the file cannot be read.
    """
    file = file_of(url)
    if file is None or not file.is_file() or _is_writable(file) or _opens(file, VERSION if migrated else 0):
        return None
    with _LOCK:
        try:
            copy = _copied(file)
        except OSError as error:
            raise StoreError(
                f"{display_url(url)}: cannot be opened where nothing can be written, and no copy of it can "
                f"be made in {error.filename or 'the temporary folder'}: {error.strerror}"
            ) from error
        if migrated:
            engine = connect(url.set(database=str(copy)))
            try:
                migrate(engine)
            except StoreError as error:
                raise type(error)(str(error).replace(str(copy), display_url(url))) from error.__cause__
            finally:
                engine.dispose()
    return copy


def state(file: Path) -> tuple[int, ...]:
    """Numbers that change when a database's file or its log does."""
    found: list[int] = []
    for each in (file, _log(file)):
        try:
            stat = each.stat()
            found += (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            found.append(0)
    return tuple(found)


def _is_writable(file: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return all(os.access(each, os.W_OK, effective_ids=effective) for each in (file, file.parent))


def _opens(file: Path, least: int) -> bool:
    """Whether SQLite reads the file as it is: it keeps no log, or the program that writes it is at work."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "tuner_schema" not in tables:
                return True
            (version,) = connection.execute("SELECT version FROM tuner_schema").fetchone()
    except sqlite3.OperationalError as error:
        return not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
    except (sqlite3.DatabaseError, TypeError):
        return True  # what is wrong with it is told where it is opened
    return bool(version >= least)


def _copied(file: Path) -> Path:
    known = _COPIES.get(file)
    before = state(file)
    if known is None or known[0] != before:
        if known is not None:
            shutil.rmtree(known[1], ignore_errors=True)
        folder = Path(mkdtemp(prefix="tuner-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for _ in range(_TRIES):
            for each in (file, _log(file)):
                target = folder / each.name
                target.unlink(missing_ok=True)
                if each.exists():
                    shutil.copyfile(each, target)
            before, was = state(file), before
            if before == was:
                break
        _COPIES[file] = before, folder
    return _COPIES[file][1] / file.name


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
