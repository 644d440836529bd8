"""Where the files of a study lie: beside an SQLite file; for a server's database where that was said."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import make_url

from tests.store.asking import asked
from tuner.artifacts import DESCRIPTION, MODEL, mark_at
from tuner.core.budget import StudyState
from tuner.core.spec import StudySpec
from tuner.store import Database, artifact_folders, verify
from tuner.store.connect import display_url
from tuner.store.relocation import home_of

IDENTITY = "0123456789abcdef" * 2
FOLDER = "s-01234567"
SERVER = make_url("postgresql+psycopg://anna:secret@host:5432/studies")


def test_beside_an_sqlite_file_the_place_is_stored_as_seen_from_it(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path}/tuner.db")
    assert artifact_folders.first_place(url, "s", IDENTITY, None) == f"tuner_models/{FOLDER}"
    assert artifact_folders.first_place(url, "s", IDENTITY, tmp_path / "big") == f"big/{FOLDER}"
    assert artifact_folders.first_place(url, "s", IDENTITY, tmp_path.parent) == str(tmp_path.parent / FOLDER)


def test_for_a_server_the_whole_place_is_stored_so_that_it_is_the_same_from_every_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifact_folders.first_place(SERVER, "s", IDENTITY, None) == str(
        tmp_path / "tuner_models" / FOLDER
    )
    stored = artifact_folders.first_place(SERVER, "s", IDENTITY, tmp_path / "big")
    monkeypatch.chdir(tmp_path.parent)
    assert stored == artifact_folders.stored(SERVER, tmp_path / "big" / FOLDER)
    assert home_of(SERVER) / stored == tmp_path / "big" / FOLDER


@pytest.mark.parametrize("given", [FOLDER, f"tuner_models/{FOLDER}", f"/mnt/big/{FOLDER}"])
def test_a_place_that_tuner_gives_is_taken(given: str) -> None:
    assert artifact_folders.is_given(given, IDENTITY)


@pytest.mark.parametrize(
    "given",
    ["", ".", "..", "/", f"../{FOLDER}", f"{FOLDER}/..", f"a\0/{FOLDER}", f"{'x' * 256}/{FOLDER}",
     f"{'x/' * 3000}{FOLDER}", FOLDER.encode(), 12, None, f"tuner_models\\{FOLDER}", f"{FOLDER} "],
)  # fmt: skip
def test_any_other_place_is_not(given: object) -> None:
    assert not artifact_folders.is_given(given, IDENTITY)


def test_the_mark_of_a_servers_study_names_no_password() -> None:
    assert "secret" not in display_url(SERVER)


def test_a_study_whose_models_are_in_an_object_store_keeps_them_there_wherever_it_goes_on(
    url: str, database: Database, spec: StudySpec
) -> None:
    root, elsewhere = (f"memory://{uuid4().hex}" for _ in range(2))
    store = database.create_study("nets", spec, {}, models=root)
    place = f"{root}/{store.artifacts.folder.name}"
    assert store.artifacts.place == place
    store.artifacts.put(0, MODEL, lambda folder: bool((folder / DESCRIPTION).write_text("{}")))
    store.finish(StudyState.INTERRUPTED, "stopped", 1.0)
    shutil.rmtree(store.artifacts.folder)  # as on another machine
    with Database.open(url, models=elsewhere) as other:
        assert other.artifacts("nets").get(0) == store.artifacts.folder / "0"
        resumed = other.resume_study("nets")
        assert list(resumed.notes) == [
            f"models: stay in {root}, where the study has them, not in {elsewhere}"
        ]
        resumed.close()
        assert asked(url, "SELECT models FROM tuner_studies") == [(place,)]
        other.delete_study("nets")
    assert mark_at(place) == {}


@pytest.mark.parametrize("in_store", [False, True])
def test_an_object_store_that_is_out_of_reach_is_not_asked_where_a_study_s_files_lie(
    url: str,
    database: Database,
    spec: StudySpec,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    in_store: bool,
) -> None:
    root, elsewhere = f"memory://{uuid4().hex}", tmp_path / "elsewhere"
    store = database.create_study("nets", spec, {}, models=root if in_store else elsewhere)
    store.artifacts.put(0, MODEL, lambda folder: bool((folder / DESCRIPTION).write_text("{}")))
    store.finish(StudyState.INTERRUPTED, "stopped", 1.0)

    def fails(*_: object) -> None:
        raise ConnectionError("hiccup")

    monkeypatch.setattr(MemoryFileSystem, "exists", fails)
    with Database.open(url, models=tmp_path / "third" if in_store else root) as other:
        files = other.artifacts("nets")
        assert files.place == store.artifacts.place
        assert in_store or files.get(0) == elsewhere / files.folder.name / "0"
    monkeypatch.setenv("TUNER_MODELS", str(tmp_path / "third") if in_store else root)
    assert [each.what for each in verify(url).findings if each.is_fault] == []
