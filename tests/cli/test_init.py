from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.program import Tune

SMALL = ("--trials", "2", "--workers", "1", "--set", "trainer.epochs=2", "--quiet")


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


def test_a_study_is_written_for_a_command_and_runs(tune: Tune, folder: Path) -> None:
    (folder / "train.py").write_text(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--rate', type=float, default=0.1, help='the step')\n"
        "print('val_loss:', parser.parse_args().rate)\n"
    )
    ended = tune("init", "--command", "python train.py")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "wrote studies/train.toml",
        "next: look over its [space], then tune start studies/train.toml",
    ]
    assert "python train.py --rate ${rate}" in (folder / "studies" / "train.toml").read_text()
    ended = tune("start", "studies/train.toml", *SMALL, "--set", "confirm.auto=false")
    assert ended.code == 0, ended.err
    ended = tune("init", "--command", "python train.py", "--from", "house.csv")
    assert ended.code == 2
    assert "give either a data file or a command" in ended.err


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


def test_check_shows_each_column_and_of_very_many_those_that_are_remarkable(tune: Tune, folder: Path) -> None:
    names = [f"x{i}" for i in range(60)]
    rows = [[str((7 * i + j * j) % 23) for j in range(60)] for i in range(80)]
    for i, row in enumerate(rows):
        row[50] = "[b]only[/b]"
        row.append(str(i % 2))
    lines = [",".join(row) for row in ([*names, "y"], *rows)]
    (folder / "wide.csv").write_text("\n".join(lines), encoding="utf-8")
    ended = tune("check", "wide.csv", "--target", "y")
    assert ended.code == 0
    told = [line.split() for line in ended.out.splitlines()]
    assert ["x0", "number", "22", "7", "1"] in told
    assert ["x29", "number"] in [words[:2] for words in told]
    assert not [words for words in told if words[:1] == ["x30"]]
    (remarked,) = (words for words in told if words[:1] == ["x50"])
    assert remarked[:7] == ["x50", "category", "1", "[b]only[/b]", "left", "out", "one"]
    assert "and 29 more without remarks" in ended.out


def test_the_headings_of_a_check_are_whole_where_remarks_are_long(tune: Tune, folder: Path) -> None:
    rows = [f"{('a rather long example', 'one more long example')[i % 2]},{i % 7},{i % 2}" for i in range(80)]
    (folder / "long.csv").write_text("\n".join(["x1,x2,y", *rows]), encoding="utf-8")
    ended = tune("check", "long.csv", "--target", "y")
    assert ended.code == 0
    assert ["column", "read", "as", "missing"] in [line.split()[:4] for line in ended.out.splitlines()]


def test_check_shows_data_conditions_and_fixed_values(tune: Tune) -> None:
    ended = tune("check", "digits", "--set", "space.fixed.batch_size=64")
    assert ended.code == 0, ended.err
    assert "64 features, 10 classes" in ended.out
    assert "optimizer =" in ended.out
    assert "fixed: batch_size = 64" in ended.out
