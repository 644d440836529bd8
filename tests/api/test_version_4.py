"""A project that the code of version 4 left opens, has its models, and goes on.

The project holds `An old study`, finished and confirmed, and `cut`, killed by SIGKILL; it lay in
`/home/anna/project`, and its study file and code lie beside it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import tuner
from tuner.api.stored import verify
from tuner.store.schema import VERSION

PROJECT = Path(__file__).parents[1] / "store" / "data" / "version-4.zip"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(folder)
    monkeypatch.chdir(folder)
    return folder


def weights(study: tuner.Study) -> dict[int, float]:
    kept = [record.number for record in study.records if record.model_path is not None]
    return {number: float(study.trial(number).model()["weights"][0]) for number in kept}


def test_its_models_are_found_wherever_it_lies_now(project: Path) -> None:
    study = tuner.load("An old study")
    assert set(weights(study)) == {0, 1, 3}
    assert not (project / "tuner_models" / "An old study").exists()
    confirmation = study.confirmation
    assert confirmation is not None
    assert tuner.load_model(str(confirmation.model_path)).module["weights"].shape == (2,)
    tuner.export("An old study", project / "out")
    assert [finding.what for finding in verify().findings if finding.is_fault] == []
    with closing(sqlite3.connect("tuner.db")) as connection:
        assert connection.execute("SELECT version FROM tuner_schema").fetchone() == (VERSION,)


def test_a_study_that_was_killed_goes_on_with_the_code_beside_it(project: Path) -> None:
    study = tuner.resume("cut")
    assert study.summary.counts["finished"] == 8
    assert set(weights(study)) >= {0, 1}
    assert not study.records[0].interruptions
    tuner.delete("cut")
    tuner.delete("An old study")
    assert [path for path in (project / "tuner_models").rglob("*") if path.is_file()] == []


def test_its_checkpoints_go_and_nothing_else(project: Path) -> None:
    folder = project / "tuner_models" / "cut" / "checkpoints"
    folder.mkdir()
    for name in ("2.a", "2.b", "11.writing"):
        (folder / name).write_text("as version 4 wrote it")
    mine = project / "tuner_models" / "An old study" / "checkpoints" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    tuner.studies()
    assert not folder.parent.exists()
    assert mine.read_text() == "mine"


def test_on_read_only_media_its_models_stay_and_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Not below the folder of all tests, which another user may not enter.
    project = Path(tempfile.mkdtemp())
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(project)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    for path in (*before, *folders):
        path.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        study = tuner.load("An old study", storage=f"sqlite:///{project}/tuner.db")
        with pytest.raises(tuner.TrialError, match="its model is not in"):
            study.trial(3).model()
        assert study.records[3].value is not None
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        after = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
        for path in folders:
            path.chmod(0o755)
        shutil.rmtree(project)
    assert after == before
    told = [text for text in caplog.messages if "moved when the database is first opened" in text]
    assert len(told) == 3, "once for each study"


def test_of_models_that_two_databases_shared_each_takes_its_own(project: Path) -> None:
    shared = project / "tuner_models" / "An old study" / "3" / "model.json"
    shared.write_text(shared.read_text().replace('"x": ', '"x": 0.5, "y": '))
    study = tuner.load("An old study")
    assert study.trial(1).model()["weights"].shape == (2,)
    with pytest.raises(tuner.TrialError):
        study.trial(3).model()
    assert shared.is_file(), "it is perhaps another database's"


def test_taking_the_models_over_may_be_cut_off_anywhere(project: Path, tmp_path: Path) -> None:
    tuner.load("cut")
    [folder] = (project / "tuner_models").glob("cut-*")
    # As if it had been killed between two models, and while one was copied.
    shutil.move(folder / "1", project / "tuner_models" / "cut" / "1")
    (folder / "0").rename(folder / ".writing-0")
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(tmp_path / "again")
    for number in "01":
        shutil.rmtree(project / "tuner_models" / "cut" / number, ignore_errors=True)
        shutil.copytree(tmp_path / "again/tuner_models/cut" / number, project / "tuner_models/cut" / number)
    assert set(weights(tuner.load("cut"))) == {0, 1}
