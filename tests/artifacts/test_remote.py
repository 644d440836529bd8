"""Models in an object store: fsspec's memory and local file systems, which behave as those of clouds do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from tuner.artifacts import DESCRIPTION, MODEL, RemoteArtifacts, mark_at
from tuner.content import models_root
from tuner.errors import SpecError, StoreError, TrialError

IDENTITY = "1" * 32


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = f"/{uuid4().hex}" if request.param == "memory" else f"{tmp_path}/bucket"
    return f"{request.param}://{root}/study-11111111"


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Callable[[str], RemoteArtifacts]:
    """A study's files as they are seen from a machine of this name."""
    return lambda name: RemoteArtifacts(tmp_path / name, IDENTITY, "study", "tuner.db", False, url)


def written(text: str) -> Callable[[Path], bool]:
    def write(folder: Path) -> bool:
        (folder / DESCRIPTION).write_text(json.dumps({"params": {}}))
        (folder / "deeper").mkdir()
        (folder / "deeper" / "weights").write_text(text)
        return True

    return write


def weights(files: RemoteArtifacts, number: int) -> str:
    path = files.get(number)
    assert path is not None
    return (path / "deeper" / "weights").read_text()


def test_a_model_is_read_on_another_machine_and_read_again_when_it_was_replaced(
    machine: Callable[[str], RemoteArtifacts],
) -> None:
    here, there = machine("here"), machine("there")
    assert there.get(3) is None
    assert there.models() == set()
    for text in ("first", "other"):  # of the same size
        here.put(3, MODEL, written(text))
        assert weights(there, 3) == text
    assert there.models() == {3}
    assert there.owner == "tuner.db"


def test_what_is_deleted_is_gone_everywhere_and_another_study_s_stays(
    machine: Callable[[str], RemoteArtifacts], url: str
) -> None:
    here = machine("here")
    for number in (1, 2):
        here.put(number, MODEL, written("x"))
    here.put(1, "a", lambda path: bool(path.write_text("checkpoint")))
    here.delete(1)
    assert here.models() == machine("there").models() == {2}
    system, there = fsspec.core.url_to_fs(url)
    system.pipe_file(f"{there}/not-ours", b"stays")
    here.destroy()
    assert [Path(name).name for name in system.find(there)] == ["not-ours"]
    assert mark_at(url) == {}


def test_a_model_of_another_study_is_not_taken_for_ours(
    machine: Callable[[str], RemoteArtifacts], url: str
) -> None:
    machine("here").put(0, MODEL, written("x"))
    system, there = fsspec.core.url_to_fs(url)
    system.pipe_file(f"{there}/0/{DESCRIPTION}", json.dumps({"study": "2" * 32}).encode())
    with pytest.raises(TrialError, match="is of another study"):
        machine("there").get(0)
    assert not (machine("there").folder / "0").exists()


def test_an_object_store_that_fails_is_told_in_a_sentence(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ArithmeticError("no such bucket")

    monkeypatch.setattr(type(fsspec.core.url_to_fs(url)[0]), "exists", fails)
    with pytest.raises(TrialError, match=r"the model cannot be fetched: .*/0: .*no such bucket; see"):
        machine("here").get(0)
    with pytest.raises(StoreError, match="no such bucket"):
        mark_at(url)


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(SpecError, match=r"^s3://bucket/x: its driver is missing: install s3fs to access S3$"):
        models_root("s3://bucket/x")
    monkeypatch.undo()
    with pytest.raises(SpecError, match="unknown protocol 'nowhere'"):
        models_root("nowhere://bucket/x")
    assert models_root("memory://models/") == "memory://models"
