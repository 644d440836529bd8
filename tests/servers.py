"""A PostgreSQL server of the tests' own: in a temporary folder, reached by a unix socket, gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tuner.store import Database
from tuner.store.connect import parse


def programs() -> Path | None:
    """The folder of the server's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    named = shutil.which("initdb")
    return None if named is None else Path(named).parent


class PostgresServer:
    """A server that runs; `url(name)` is one of its databases."""

    def __init__(self, folder: Path, port: int = 5432, address: str = "") -> None:
        binaries = programs()
        assert binaries is not None
        self._binaries, self._folder, self.port = binaries, folder, port
        self._address = address
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        options = ["--auth=trust", "--username=tuner", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._do("initdb", "-D", str(folder / "data"), *options)
        self.start()
        # Created once; each database of a test is a copy of it.
        self._admin("CREATE DATABASE empty")
        Database.open(self.url("empty"), create=True).close()

    def _do(self, program: str, *arguments: str) -> None:
        # The server refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        # What stays behind must not keep a pipe of ours open.
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as log:
            subprocess.run(
                [*as_user, str(self._binaries / program), *arguments],
                check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def start(self) -> None:
        settings = {
            "unix_socket_directories": str(self._folder),
            "listen_addresses": self._address,
            "port": self.port,
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": 60,
        }
        told = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        log = str(self._folder / "server.log")
        self._do("pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", log, "-o", told, "start")

    def stop(self, how: str = "fast") -> None:
        """End it: `fast` closes all connections, `immediate` is a crash."""
        self._do("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", how, "stop")

    def url(self, name: str) -> str:
        return f"postgresql://tuner@/{name}?host={self._folder}&port={self.port}"

    def create(self) -> str:
        """The URL of a new database, which has our tables already."""
        name = f"d{uuid4().hex[:12]}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE empty")
        return self.url(name)

    def drop(self, url: str) -> None:
        self._admin(f"DROP DATABASE IF EXISTS {parse(url).database} WITH (FORCE)")

    def _admin(self, statement: str) -> None:
        engine = create_engine(parse(self.url("postgres")), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A server, of which nothing stays."""
    # A socket's path has room for 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="tuner-pg-", dir="/tmp"))
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.log").unlink(missing_ok=True)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, which holds in a minute at most on any machine that works."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
