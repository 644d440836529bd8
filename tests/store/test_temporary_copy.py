"""Databases on read-only media are read whole, and nothing that is written to them is lost in silence."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tuner.core.budget import StudyState
from tuner.core.spec import StudySpec
from tuner.errors import StoreError
from tuner.store import Database, StudyStore, verify
from tuner.store.columns import Reader

PROJECT = Path(__file__).parent / "data" / "version-4.zip"

Lock = Callable[[], None]


@pytest.fixture
def kind() -> str:
    """All this is about files."""
    return "sqlite"


@pytest.fixture
def shelf() -> Iterator[tuple[Path, Lock]]:
    """A folder, and what makes it and all in it read-only to this process."""
    folder = Path(tempfile.mkdtemp())

    def lock() -> None:
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        if os.getuid() == 0:
            os.seteuid(65534)

    yield folder, lock
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def names(path: Path) -> list[str]:
    with Database.open(str(path)) as database:
        return [study.name for study in database.studies()]


def test_a_study_is_read_where_nothing_can_be_written(
    shelf: tuple[Path, Lock], template: Path, spec: StudySpec
) -> None:
    folder, lock = shelf
    path = Path(shutil.copyfile(template, folder / "tuner.db"))
    with Database.open(str(path)) as database:
        database.create_study("s", spec, {}).finish(StudyState.FINISHED, "done", 1.0)
    assert verify(str(path)).is_sound  # imports Optuna, which another user may not read
    lock()
    assert names(path) == ["s"]
    assert verify(str(path)).is_sound
    reader = Reader(f"sqlite:///{path}")
    assert [study.name for study in reader.studies()] == ["s"]
    reader.close()
    assert sorted(each.name for each in folder.iterdir()) == ["tuner.db"]


def test_what_only_the_log_holds_is_read_too(shelf: tuple[Path, Lock], url: str, store: StudyStore) -> None:
    # As after a power cut, or while a study runs: the log is not in the file yet.
    folder, lock = shelf
    source = Path(url.removeprefix("sqlite:///"))
    for each in (source, source.with_name(f"{source.name}-wal")):
        shutil.copyfile(each, folder / each.name)
    with closing(sqlite3.connect(f"file:{folder / source.name}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM tuner_studies").fetchone() == (0,)
    lock()
    assert len(names(folder / source.name)) == 1


def test_tables_of_an_earlier_version_are_read_where_they_cannot_be_changed(
    shelf: tuple[Path, Lock],
) -> None:
    folder, lock = shelf
    with zipfile.ZipFile(PROJECT) as archive:
        path = Path(archive.extract("tuner.db", folder))
    before = path.read_bytes()
    lock()
    assert sorted(names(path)) == ["An old study", "An old study~confirm", "cut"]
    reader = Reader(f"sqlite:///{path}")
    assert len(reader.studies()) == 2
    reader.close()
    assert path.read_bytes() == before


def test_a_study_on_read_only_media_cannot_be_changed(
    shelf: tuple[Path, Lock], template: Path, spec: StudySpec
) -> None:
    folder, lock = shelf
    path = Path(shutil.copyfile(template, folder / "tuner.db"))
    with Database.open(str(path)) as database:
        database.create_study("s", spec, {}).finish(StudyState.FINISHED, "done", 1.0)
    lock()
    with Database.open(str(path)) as database:
        for change in (
            lambda: database.resume_study("s"),
            lambda: database.delete_study("s"),
            lambda: database.create_study("t", spec, {}),
        ):
            with pytest.raises(StoreError, match=f"{path}: is read-only"):
                change()
    assert names(path) == ["s"]


def test_a_copy_is_made_again_when_the_file_has_changed(
    shelf: tuple[Path, Lock], template: Path, spec: StudySpec
) -> None:
    folder, lock = shelf
    path = Path(shutil.copyfile(template, folder / "tuner.db"))
    lock()
    reader = Reader(f"sqlite:///{path}")
    assert names(path) == []
    assert reader.studies() == []
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o755)
    path.chmod(0o644)
    with Database.open(str(path)) as database:
        database.create_study("s", spec, {}).finish(StudyState.FINISHED, "done", 1.0)
    lock()
    assert names(path) == ["s"]
    assert [study.name for study in reader.studies()] == ["s"]
    reader.close()


@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="this user may not mount",
)
def test_commands_read_a_file_system_that_is_mounted_read_only(tmp_path: Path) -> None:
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(tmp_path)
    commands = "\n".join(
        f"{sys.executable} -m tuner {each} >/dev/null || exit 9"
        for each in ("list", "show 'An old study'", "report 'An old study' -o $OUT/report.html")
    )
    (out := tmp_path.with_name("out")).mkdir(exist_ok=True)
    mount = f"mount --bind . . && mount -o remount,ro,bind . && cd {tmp_path}"
    script = f"{mount} && {{ touch x && exit 8; {commands}\n}}"
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"OUT": str(out)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").is_file()
