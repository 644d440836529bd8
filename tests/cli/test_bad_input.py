"""Every mistake is answered by a line that says what, where and what to do; nothing is half-written."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import STUDY, Ended, Tune

DATA_STUDY = """
[data]
source = "{source}"
{data}
[trainer]
epochs = 2
workers = 1
[budget]
trials = 1
[space]
use = ["batch"]
"""


def told(ended: Ended, *words: str, lines: int = 1) -> None:
    """The command exits 2, with so many lines on stderr that have these words, and nothing else."""
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == lines, ended.err
    for word in words:
        assert word in ended.err


@pytest.fixture(autouse=True)
def nothing_is_left(folder: Path) -> None:
    (folder / "before").write_text("")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & {"tuner.db", "tuner.db-wal", "tuner_models"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "nowhere.toml"), ("nowhere.toml", "no such file")),
        (("start", "nowhere.csv", "--target", "y"), ("nowhere.csv", "no such file")),
        (("start", "digit"), ("did you mean 'digits'",)),
        (("check", "nowhere.toml"), ("nowhere.toml", "no such file")),
        (("init", "--from", "nowhere.csv", "--target", "y"), ("nowhere.csv", "no such file")),
        (("copy", "study", "digit"), ("did you mean 'digits'",)),
        (("copy", "studio", "digits"), ("did you mean 'study'",)),
        (("start", "study.toml", "--set", "trainer.epoch=9"), ("epoch", "did you mean 'epochs'")),
        (("start", "study.toml", "--set", "epochs"), ("--set epochs", "KEY=VALUE")),
        (("start", "study.toml", "--seconds", "-1"), ("budget.seconds", "greater than 0")),
        (("start", "digits", "--device", "abacus"), ("abacus",)),
        (("start", "study.toml", "--set", "search.seed=4294967296"), ("search.seed", "4294967295")),
        (("dashboard", "--no-open", "--port", "0", "--storage", "nosql://x/y"), ("nosql", "unknown kind")),
        (("start", "study.toml", "--device", "abacus"), ("trainer.device", "abacus")),
        (("start", "study.toml", "--device", "cuda:99"), ("trainer.device", "cuda:99")),
        (("start", "digits_sklearn", "--device", "cuda:0"), ("trainer.device", "trains on the CPU")),
        (("start", "study.toml", "--storage", "nosql://x"), ("nosql",)),
        (("start", "study.toml", "--storage", "sqlite:///tuner.db?tmeout=3"), ("a usable URL", "tmeout")),
        (("start", "study.toml", "--storage", "sqlite:///missing/x.db"), ("missing", "does not exist")),
    ],
)
def test_a_wrong_argument(
    tune: Tune, folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    told(tune(*arguments), *words)
    assert not left(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 4", "epoch = 4", ("trainer.epoch", "unknown key", "did you mean 'epochs'")),
        ("[budget]", "[budjet]", ("budjet", "unknown section", "did you mean 'budget'")),
        ("epochs = 4", 'epochs = "many"', ("trainer.epochs", "'many'")),
        ("low = 0.0", "low = 2.0", ("space.x", "upside down", "swap")),
        ("default = 0.2", "default = 7.0", ("space.x", "7.0", "0 to 1")),
        ("default = 0.2", 'default = 0.2\nwhen = { optimiser = "sgd" }', ("space.x", "'optimiser'")),
        ('type = "float"', 'type = "flaot"', ("space.x", "flaot", "float")),
        ('[space.x]', '[space]\nuse = ["optimisation"]\n[space.x]', ("did you mean 'optimization'",)),
        ("./trainer.py:train", "torhc", ("torhc", "did you mean 'torch'")),
        ("./trainer.py:train", "./trainer.py:trian", ("trian", "did you mean 'train'")),
        ("./trainer.py:train", "./nowhere.py:train", ("nowhere.py", "no such file")),
        ("./trainer.py:train", "no.such.module:train", ("no.such.module",)),
        ("[budget]", "[search]\nsampler = \"tpee\"\n[budget]", ("sampler", "tpee", "did you mean 'tpe'")),
        ("epochs = 4", "epochs = ", ("study.toml", "is not TOML")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["start", "check"])
def test_a_fault_in_the_study_file(
    tune: Tune, folder: Path, command: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    assert old in STUDY
    (folder / "study.toml").write_text(STUDY.replace(old, new, 1))
    told(tune(command, "study.toml"), *words)
    assert not left(folder)


def test_all_faults_of_a_study_file_are_told_at_once(tune: Tune, folder: Path) -> None:
    text = STUDY.replace("epochs = 4", "epoch = 4").replace("low = 0.0", "low = 2.0")
    (folder / "study.toml").write_text(text)
    told(tune("start", "study.toml"), "trainer.epoch", "upside down", lines=2)


CSV = "a,b,y\n" + "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60))


@pytest.mark.parametrize(
    ("text", "data", "words"),
    [
        (CSV, "", ("target",)),
        (CSV, 'target = "z"', ("'z'", "y")),
        (CSV.replace("yes", "no"), 'target = "y"', ("y", "no")),
        (CSV, 'target = "y"\ntask = "regression"', ("y",)),
        ("", 'target = "y"', ("table.csv",)),
        ("a,b,y\n", 'target = "y"', ("table.csv",)),
    ],
    ids=["no target", "missing target", "constant target", "text for numbers", "empty file", "no rows"],
)
def test_data_that_cannot_be_used(
    tune: Tune, folder: Path, text: str, data: str, words: tuple[str, ...]
) -> None:
    (folder / "table.csv").write_text(text)
    (folder / "study.toml").write_text(DATA_STUDY.format(source="table.csv", data=data))
    told(tune("start", "study.toml"), *words)
    assert not left(folder)


def test_text_where_numbers_belong_in_arrays(tune: Tune, folder: Path) -> None:
    np.savez(folder / "arrays.npz", X=np.array([["a", "b"]] * 30), y=np.arange(30) % 2)
    (folder / "study.toml").write_text(DATA_STUDY.format(source="arrays.npz", data=""))
    told(tune("start", "study.toml"), "X")
    assert not left(folder)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fails", ("ValueError: boom in my own code", "tune show study")),
        ("yields_nothing", ("yielded nothing", "train_loss")),
        ("yields_nan", ("no trial has a value",)),
    ],
)
def test_a_function_of_ones_own_that_never_works(
    tune: Tune, folder: Path, function: str, words: tuple[str, ...]
) -> None:
    (folder / "study.toml").write_text(STUDY.replace(":train", f":{function}"))
    told(tune("start", "study.toml", "--quiet"), *words)
    trials = tune("show", "study", "--json").json["trials"]
    assert {trial["state"] for trial in trials} <= {"failed", "stopped"}
    assert all(trial["reason"] for trial in trials)


def test_too_many_failures_end_a_study_that_has_a_best_trial_with_an_error(tune: Tune, folder: Path) -> None:
    text = STUDY.replace(":train", ":fails_once") + "[stop]\nmax_failures = 2\n"
    (folder / "study.toml").write_text(text)
    ended = tune("start", "study.toml", "--quiet", "--json")
    assert ended.code == 2
    assert ended.json["trial"] == 0
    assert len(ended.err.splitlines()) == 1
    assert "only the default works" in ended.err


def test_a_device_that_is_not_there_when_a_study_goes_on(stored: Tune) -> None:
    told(stored("resume", "study", "--trials", "9", "--device", "cuda:99"), "trainer.device", "cuda:99")


def test_a_name_that_is_taken(stored: Tune) -> None:
    told(stored("start", "study.toml", "--quiet"), "study", "tune resume study")


@pytest.mark.parametrize("command", ["show", "best", "export", "delete", "resume"])
def test_a_name_that_is_not_stored(stored: Tune, folder: Path, command: str) -> None:
    more = {"export": ("out",), "delete": ("--yes",)}.get(command, ())
    told(stored(command, "studdy", *more), "studdy", "did you mean 'study'")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("command", [("show", "study", "99"), ("export", "study", "out", "--trial", "99")])
def test_a_trial_that_is_not_there(stored: Tune, folder: Path, command: tuple[str, ...]) -> None:
    told(stored(*command), "99", "6 trials")
    assert not (folder / "out").exists()


def test_a_database_that_is_not_one(tune: Tune, folder: Path) -> None:
    (folder / "tuner.db").write_text("this is a letter, not a database; " * 99)
    for arguments in (("start", "study.toml", "--quiet"), ("list",), ("show", "study"), ("resume",)):
        told(tune(*arguments), "tuner.db", "not a database")
    assert (folder / "tuner.db").read_text().startswith("this is a letter")


def test_a_database_of_another_program_is_left_as_it_is(tune: Tune, folder: Path) -> None:
    with sqlite3.connect(folder / "tuner.db") as database:
        database.execute("create table recipes (name text)")
    database.close()
    before = (folder / "tuner.db").read_bytes()
    assert "recipes" not in tune("list").out
    told(tune("show", "study"), "study")
    assert (folder / "tuner.db").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that not even root may write to")
@pytest.mark.parametrize(
    "arguments",
    [("start", "study.toml", "--quiet", "--storage", "sqlite:////proc/x.db"), ("init", "/proc/project")],
)
def test_a_folder_that_is_read_only(tune: Tune, arguments: tuple[str, ...]) -> None:
    told(tune(*arguments), "/proc")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_working_folder_that_is_read_only(tune: Tune, folder: Path) -> None:
    folder.chmod(0o500)
    try:
        told(tune("start", "study.toml", "--quiet"), "tuner.db")
        told(tune("init"), "cannot be written")
    finally:
        folder.chmod(0o700)


def test_a_project_does_not_overwrite_files(tune: Tune, folder: Path) -> None:
    told(tune("init"), "trainer.py", "is there already")
    assert not (folder / "README.md").exists()
