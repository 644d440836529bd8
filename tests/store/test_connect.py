"""Every way in which a database cannot be used is one line that says what and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.errors import StoreError
from tuner.store import Database, StudyStore
from tuner.store.connect import connect, parse, write_ahead


@pytest.fixture
def kind() -> str:
    """All this is about files."""
    return "sqlite"


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def disk_of(pages: int) -> Iterator[None]:
    """Connections that begin here find the disk full after so many pages of their file."""

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


@pytest.fixture
def as_nobody(template: Path) -> Iterator[Path]:
    """A folder of another user's with a database in it, neither of which this process may write."""
    folder = Path(tempfile.mkdtemp())
    shutil.copyfile(template, folder / "tuner.db")
    (folder / "tuner.db").chmod(0o444)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("form", ["sqlite:///{path}", "{path}"])
def test_a_url_and_a_path_open_the_same_file(tmp_path: Path, form: str, spec: StudySpec) -> None:
    path = tmp_path / "with {braces} and 100% ü.db"
    with Database.open(form.format(path=path), create=True) as database:
        database.create_study("s", spec, {}).close()
    with Database.open(str(path)) as database:
        assert [s.name for s in database.studies()] == ["s"]
    assert files(tmp_path) == [path.name]


def test_a_path_is_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Database.open("sqlite:///tuner.db", create=True).close()
    assert (tmp_path / "tuner.db").is_file()


def test_reading_creates_no_file(tmp_path: Path) -> None:
    text = refusal(lambda: Database.open(f"sqlite:///{tmp_path}/tuner.db"))
    assert "no studies yet" in text
    assert "tune start" in text
    assert files(tmp_path) == []


@pytest.mark.parametrize("create", [True, False])
def test_a_missing_folder_is_named(tmp_path: Path, create: bool) -> None:
    text = refusal(lambda: Database.open(f"{tmp_path}/no/tuner.db", create=create))
    assert f"the folder {tmp_path}/no does not exist" in text


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "notes.db"
    path.write_text("x,y\n" * 1000)
    assert "notes.db: is not a database" in refusal(lambda: Database.open(str(path), create=create))
    assert path.read_text() == "x,y\n" * 1000


@pytest.mark.parametrize("create", [True, False])
def test_a_folder_is_no_database(tmp_path: Path, create: bool) -> None:
    assert "cannot be opened" in refusal(lambda: Database.open(f"sqlite:///{tmp_path}", create=create))


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("tuner", "is not a database: give a file that ends in .db, or a URL such as sqlite:///tuner.db"),
        ("", "is not a database"),
        ("nosuch://host/name", "unknown kind of database 'nosuch'"),
        ("postgresql+pg8000://me:secret@host/name", "only the driver psycopg 3 is used"),
        ("mysql://me:secret@host/name", "MySQL and MariaDB are not supported; known: sqlite:///FILE and"),
        ("postgresql://me@127.0.0.1:1/name?password=secret", "the server does not answer or refuses"),
        ("sqlite://", "has no file"),
        ("sqlite:///:memory:", "has no file"),
        ("sqlite://host/tuner.db", "is not a usable URL"),
        ("sqlite:///tuner.db?timeout=soon", "is not a usable URL"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = refusal(lambda: Database.open(url, create=True))
    assert part in text
    assert "secret" not in text
    assert files(tmp_path) == []


def test_a_folder_that_may_not_be_written_gets_no_database(as_nobody: Path) -> None:
    text = refusal(lambda: Database.open(str(as_nobody / "new.db"), create=True))
    assert f"{as_nobody}/new.db: cannot be opened; its folder must exist and be writable" in text
    assert files(as_nobody) == ["tuner.db"]


def test_a_file_that_may_not_be_written_is_named(as_nobody: Path, spec: StudySpec) -> None:
    def begin() -> None:
        with Database.open(str(as_nobody / "tuner.db"), create=True) as database:
            database.create_study("s", spec, {})

    text = refusal(begin)
    assert str(as_nobody / "tuner.db") in text
    assert "writable" in text


def test_a_file_locked_for_longer_than_the_timeout_is_named(url: str, spec: StudySpec) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Database.open(url + "?timeout=0.05") as database:
        assert "locked" in refusal(lambda: database.create_study("s", spec, {}))
        other.execute("ROLLBACK")
        database.create_study("s", spec, {}).close()
    other.close()


def test_a_full_disk_loses_nothing_and_the_turn_can_be_stored_later(
    url: str, spec: StudySpec, trial: Callable[..., Trial], reading: Callable[..., Reading]
) -> None:
    with Database.open(url) as database:
        store = database.create_study("s", spec, {})
        store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
        big = Turn(started=[trial(n) for n in range(1, 200)], readings=[(0, reading(2))])
        database.close()
        with disk_of(pages=80):
            assert "the disk is full" in refusal(lambda: store.record(big))
        database.close()
        assert database.curves("s") == {0: [reading(1)]}
        store.record(big)
        assert len(database.records("s")) == 200
        store.close()


@pytest.mark.parametrize(
    ("harm", "part"),
    [
        ("DROP TABLE tuner_epochs", "no such table: tuner_epochs"),
        ("UPDATE tuner_studies SET spec = '{'", "is damaged"),
        ("UPDATE tuner_studies SET state = 'asleep'", "is damaged"),
        ("UPDATE tuner_trials SET params = 'x'", "is damaged"),
    ],
)
def test_a_damaged_table_is_told(
    url: str, store: StudyStore, database: Database, trial: Callable[..., Trial], harm: str, part: str
) -> None:
    store.record(Turn(started=[trial(0)]))
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(harm)
    connection.close()

    def read() -> None:
        database.studies()
        database.records("nets")

    assert part in refusal(read)


def test_a_torn_file_is_told(url: str, store: StudyStore, trial: Callable[..., Trial]) -> None:
    store.record(Turn(started=[trial(n) for n in range(100)]))
    store.close()
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = Path(url.removeprefix("sqlite:///"))
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match=r"damaged|not as it should be"), Database.open(url) as database:
        database.records("nets")


def test_a_schema_that_cannot_be_created_leaves_nothing_that_is_in_the_way(tmp_path: Path) -> None:
    with disk_of(pages=20):
        text = refusal(lambda: Database.open(f"{tmp_path}/tuner.db", create=True))
    assert text.startswith(f"{tmp_path}/tuner.db: the disk is full")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0
    Database.open(f"{tmp_path}/tuner.db", create=True).close()


def test_a_file_is_created_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: StudySpec
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    with Database.open(f"{tmp_path}/tuner.db", create=True) as database:
        database.create_study("s", spec, {}).close()
    assert files(tmp_path) == ["tuner.db"]


def test_two_that_create_the_same_file_at_once_share_it(tmp_path: Path, spec: StudySpec) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def begin(name: str) -> None:
        with Database.open(f"{tmp_path}/tuner.db", create=True) as database:
            database.create_study(name, spec, {}).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, "abcd"))
    with Database.open(f"{tmp_path}/tuner.db") as database:
        assert sorted(s.name for s in database.studies()) == list("abcd")
    assert files(tmp_path) == ["tuner.db"]


def test_a_file_is_shared_with_readers_though_another_program_writes_just_then(tmp_path: Path) -> None:
    file = tmp_path / "tuner.db"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN IMMEDIATE")
        ends = Timer(0.3, other.execute, ["COMMIT"])
        ends.start()
        write_ahead(connect(parse(str(file))))
        ends.join()
    with closing(sqlite3.connect(file)) as later:
        assert later.execute("PRAGMA journal_mode").fetchone() == ("wal",)
