"""Models in an object store: fsspec's memory and local file systems, which behave as those of clouds do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest

from tuner.artifacts import DESCRIPTION, MODEL, RemoteArtifacts, mark_at
from tuner.content import models_root
from tuner.core.training import Snapshot
from tuner.core.trial import Objective, Trial
from tuner.engine.retention import ModelRetention
from tuner.errors import SpecError, StoreError, TrialError
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.trial_output import TrialOutput

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


def out_of_reach(monkeypatch: pytest.MonkeyPatch, url: str, method: str, error: Exception) -> None:
    """An object store of which a method fails, until what is patched is undone."""

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(type(fsspec.core.url_to_fs(url)[0]), method, fails)


@pytest.mark.parametrize("kind", [ConnectionError, ValueError, ArithmeticError])
def test_whatever_an_object_store_raises_is_told_with_what_to_do(
    machine: Callable[[str], RemoteArtifacts],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
) -> None:
    here = machine("here")
    here.put(0, MODEL, written("x"))
    out_of_reach(monkeypatch, url, "exists", kind("hiccup"))
    told = rf"{url}.*{kind.__name__}: hiccup; see whether it is in reach"
    with pytest.raises(TrialError, match=f"^the model cannot be fetched: {told}$"):
        here.get(0)
    with pytest.raises(StoreError, match=f"^{told}$"):
        mark_at(url)
    with pytest.raises(StoreError, match=f"^study 'study': {told}$"):
        here.models()
    with pytest.raises(StoreError, match=f"^study 'study': {told}, and delete it again$"):
        here.destroy()
    here.delete(0)
    with pytest.raises(StoreError, match=f"^the model of trial 1 cannot be stored: {told}, and go on with"):
        here.put(1, MODEL, written("x"))
    monkeypatch.undo()
    assert here.models() == {0}, "what could not be deleted is found again"
    here.destroy()
    assert mark_at(url) == {}


@pytest.mark.parametrize("method", ["exists", "pipe_file"])
def test_a_model_that_cannot_be_sent_leaves_the_one_from_before(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    here = machine("here")
    here.put(2, MODEL, written("first"))
    out_of_reach(monkeypatch, url, method, OSError("no room"))
    with pytest.raises(StoreError, match="nothing is lost"):
        here.put(2, MODEL, written("second"))
    monkeypatch.undo()
    assert weights(here, 2) == weights(machine("there"), 2) == "first"
    here.put(2, MODEL, written("third"))
    assert weights(machine("there"), 2) == "third"


def test_a_mark_that_was_not_written_there_is_written_with_the_next_model(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("here")
    out_of_reach(monkeypatch, url, "pipe_file", OSError("no room"))
    with pytest.raises(StoreError, match="see whether it is in reach"):
        here.mark()
    monkeypatch.undo()
    here.put(2, MODEL, written("x"))
    assert mark_at(url)["identity"] == IDENTITY


def test_what_was_sent_by_half_goes_with_the_study(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("here")
    out_of_reach(monkeypatch, url, "cp_file", OSError("no room"))
    for number in (0, 1):
        with pytest.raises(StoreError):
            here.put(number, MODEL, written("x"))
    monkeypatch.undo()
    assert here.get(0) is None
    here.delete(1)
    here.destroy()
    system, there = fsspec.core.url_to_fs(url)
    assert system.find(there) == []


def test_checkpoints_and_logs_do_without_an_object_store_that_is_out_of_reach(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = machine("elsewhere")  # whose mark is not there yet
    out_of_reach(monkeypatch, url, "pipe_file", OSError("no room"))
    assert not Checkpoints(files).write(Trial(0, {}, 1), Snapshot(1, {"w": np.zeros(2)}))
    for descriptors in (False, True):
        with TrialOutput(files, descriptors=descriptors).of(0):
            sys.stdout.write("lost")


def test_models_that_no_record_names_are_left_to_the_next_run_where_the_object_store_is_out_of_reach(
    machine: Callable[[str], RemoteArtifacts], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("here")
    here.put(3, MODEL, written("x"))
    out_of_reach(monkeypatch, url, "exists", OSError("hiccup"))
    ModelRetention(1, here, Objective()).tidy()
    assert ModelRetention(1, here, Objective()).replay([]) == []
    monkeypatch.undo()
    assert here.models() == {3}
    ModelRetention(1, here, Objective()).tidy()
    assert here.models() == set()
