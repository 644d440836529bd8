from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.program import Tune

SMALL = ("--trials", "2", "--workers", "1", "--set", "trainer.epochs=2", "--quiet")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of torch that wait for each other take long where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_command_of_the_written_readme_works(
    tune: Tune, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = tune("init", "project")
    assert ended.code == 0, ended.err
    assert "wrote project/trainer.py" in ended.out
    monkeypatch.chdir(folder / "project")
    block = re.findall(r"```\n(.*?)```", Path("README.md").read_text(), re.DOTALL)[0]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line]
    assert len(commands) >= 7
    for command in commands:
        ended = tune(*command, *(SMALL if command[0] == "start" else ()))
        assert ended.code == 0, (command, ended.err)
    assert Path("out/model/model.json").is_file()
    studies = {study["study"] for study in tune("list", "--json").json["studies"]}
    assert studies == {study.stem for study in Path("studies").glob("*.toml")}


def test_a_study_is_written_for_a_data_file_and_runs(tune: Tune, folder: Path) -> None:
    rows = (f"{i},{'red' if i % 2 else 'blue'},{i * 0.5}\n" for i in range(90))
    (folder / "house.csv").write_text("size,colour,price\n" + "".join(rows))
    ended = tune("init", "--from", "house.csv", "--target", "price")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == ["wrote studies/house.toml", "next: tune start studies/house.toml"]
    written = (folder / "studies" / "house.toml").read_text()
    assert 'source = "house.csv"' in written
    assert "# the column to predict" in written
    ended = tune("start", "studies/house.toml", *SMALL)
    assert ended.code == 0, ended.err
    again = tune("init", "--from", "house.csv", "--target", "price")
    assert again.code == 2
    assert "is there already" in again.err


def test_a_shipped_file_is_copied_where_it_comes_first(tune: Tune, folder: Path) -> None:
    ended = tune("copy", "space", "batch")
    assert ended.code == 0, ended.err
    assert ended.out == f"wrote {folder / 'search_spaces' / 'batch.toml'}\n"
    assert (folder / "search_spaces" / "batch.toml").is_file()
    assert tune("copy", "space", "batch").code == 2


def test_check_shows_what_would_be_searched_and_trains_nothing(tune: Tune, folder: Path) -> None:
    ended = tune("check", "study.toml", "--set", "budget.seconds=60")
    assert ended.code == 0, ended.err
    for words in ("a parabola", "trainer.py:train, 4 epochs", "lowest val_loss", "trials 6, seconds 60"):
        assert words in ended.out
    assert "0 to 1" in ended.out
    assert "where the parabola is looked at" in ended.out
    assert not (folder / "tuner.db").exists()


def test_check_shows_data_conditions_and_fixed_values(tune: Tune) -> None:
    ended = tune("check", "digits", "--set", "space.fixed.batch_size=64")
    assert ended.code == 0, ended.err
    assert "64 features, 10 classes" in ended.out
    assert "optimizer =" in ended.out
    assert "fixed: batch_size = 64" in ended.out
