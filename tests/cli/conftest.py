"""A working folder of one's own, with a study that takes no time, and the program `tune` in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tuner
from tests.cli.program import STUDY, TRAINER, Ended, Tune
from tuner.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with `study.toml` and `trainer.py`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNER_STORAGE", raising=False)
    # A study has worker processes where it asks for them: to start two takes longer than most of the tests.
    monkeypatch.setattr("tuner.api.layout.cores", lambda: 1)
    monkeypatch.setattr("tuner.api.planning.cores", lambda: 1)
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the study, run once."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "trainer.py").write_text(TRAINER)
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tuner.start("study.toml", storage="sqlite:///tuner.db")
    return folder / "tuner.db"


@pytest.fixture
def stored(tune: Tune, folder: Path, database: Path) -> Tune:
    """`tune` beside a stored study of six trials."""
    shutil.copy(database, folder)
    return tune


@pytest.fixture
def tune(folder: Path, capsys: pytest.CaptureFixture[str]) -> Tune:
    """Runs `tune` with arguments in the working folder, in this process."""

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        out, err = capsys.readouterr()
        code = leaving.value.code
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run
