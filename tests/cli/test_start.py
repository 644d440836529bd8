from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests import processes
from tests.cli.program import Tune
from tuner.cli.options import settings
from tuner.errors import SpecError


def test_a_study_ends_with_the_best_trial_beside_the_default_one(tune: Tune) -> None:
    ended = tune("start", "study.toml")
    assert ended.code == 0, ended.err
    assert "study: finished" in ended.out
    assert "validation loss" in ended.out
    assert "default (trial 0)" in ended.out
    assert "is the best of the search" in ended.out
    for command in ("tune show study", "tune resume study --trials 12"):
        assert command in ended.out
    assert "study: " in ended.err, "progress goes to stderr"
    assert "6/6 trials" in ended.err


def test_json_is_the_only_thing_on_stdout_and_the_same_as_that_of_best(tune: Tune) -> None:
    started = tune("start", "study.toml", "--json")
    assert started.code == 0, started.err
    assert started.json == tune("best", "study", "--json").json
    assert {
        "study", "trial", "params", "value", "train_loss", "val_loss", "train_score", "val_score", "gap",
        "epoch", "default", "gain", "model_path",
    } <= started.json.keys()  # fmt: skip
    assert started.json["train_score"] is None, "it was not measured, and NaN is not JSON"
    assert started.json["default"]["params"] == {"x": 0.2}
    assert "6/6 trials" in started.err


def test_quiet_shows_the_result_alone(tune: Tune) -> None:
    ended = tune("start", "study.toml", "--quiet")
    assert ended.code == 0
    assert ended.err == ""
    assert "validation loss" in ended.out
    assert tune("start", "study.toml", "--quiet", "--json", "--name", "other").err == ""


def test_options_reach_the_study(tune: Tune) -> None:
    ended = tune(
        "start", "study.toml", "--name", "mine", "--trials", "3", "--seed", "5", "--workers", "1",
        "--device", "cpu", "--set", "trainer.epochs=2", "--set", "description=my own words", "--quiet",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    shown = tune("show", "mine", "--json").json
    assert [trial["number"] for trial in shown["trials"]] == [0, 1, 2]
    assert max(trial["epochs"] for trial in shown["trials"]) == 2
    assert shown["spec"]["search"]["seed"] == 5
    assert shown["spec"]["description"] == "my own words"


def test_a_study_that_is_stored_goes_on_or_is_replaced_where_that_is_asked_for(tune: Tune) -> None:
    assert tune("start", "study.toml", "--quiet").code == 0
    assert tune("start", "study.toml", "--quiet").code == 2
    trials = len(tune("show", "study", "--json").json["trials"])
    more = ("--trials", str(trials + 1), "--quiet")
    assert tune("start", "study.toml", *more, "--exists", "resume").code == 0
    assert len(tune("show", "study", "--json").json["trials"]) == trials + 1
    assert tune("start", "study.toml", "--quiet", "--exists", "replace").code == 0
    assert len(tune("show", "study", "--json").json["trials"]) == trials
    assert "replace" in tune("start", "study.toml", "--exists", "never").err


def test_several_columns_are_predicted_where_target_is_repeated(tune: Tune, folder: Path) -> None:
    rows = [
        f"{a},{b},{'yes' if a > b else 'no'},{'on' if b > 9 else 'off'}" for a in range(9) for b in range(18)
    ]
    (folder / "labels.csv").write_text("\n".join(["a,b,larger,high", *rows]), "utf-8")
    both = ("--target", "larger", "--target", "high")
    ended = tune("start", "labels.csv", *both, "--trials", "1", "--set", "trainer.epochs=1", "--quiet")
    assert ended.code == 0, ended.err
    assert tune("show", "labels", "--json").json["spec"]["data"]["target"] == ["larger", "high"]
    assert tune("init", "--from", "labels.csv", *both).code == 0
    assert '["larger", "high"]' in (folder / "studies" / "labels.toml").read_text("utf-8")
    assert tune("check", "labels.csv", *both).code == 0


def test_another_database_by_option_or_by_environment(
    tune: Tune, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tune("start", "study.toml", "--quiet", "--storage", "sqlite:///other.db").code == 0
    assert (folder / "other.db").is_file()
    assert not (folder / "tuner.db").exists()
    monkeypatch.setenv("TUNER_STORAGE", "sqlite:///other.db")
    assert [study["study"] for study in tune("list", "--json").json["studies"]] == ["study"]


def test_a_finished_study_goes_on_with_a_larger_budget(tune: Tune) -> None:
    tune("start", "study.toml", "--quiet")
    as_it_is = tune("resume", "study")
    assert as_it_is.code == 0, as_it_is.err
    assert "study: finished, the budget of 6 trials is used up" in as_it_is.out
    assert "tune resume study --trials 12" in as_it_is.out
    refused = tune("resume", "study", "--trials", "5")
    assert refused.code == 2
    assert "N above 6" in refused.err
    resumed = tune("resume", "study", "--trials", "8", "--json", "--quiet")
    assert resumed.code == 0, resumed.err
    assert len(tune("show", "study", "--json").json["trials"]) == 8
    assert resumed.json == tune("best", "study", "--json").json


def test_a_study_that_its_epochs_ended_says_what_to_raise(tune: Tune, folder: Path) -> None:
    file = folder / "study.toml"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("trials = 6", "trials = 6\nepochs = 3\npatience = 50"), "utf-8")
    ended = tune("start", "study.toml")
    more = (
        "tune resume study --allow-changes search on, once [budget] epochs or patience is raised in its file"
    )
    assert more in " ".join(ended.out.split()), ended.err
    before = len(tune("show", "study", "--json").json["trials"])
    file.write_text(whole, "utf-8")
    assert tune("resume", "study", "--allow-changes", "--quiet").code == 0
    assert len(tune("show", "study", "--json").json["trials"]) == 6 > before


def test_an_interrupted_study_says_how_to_go_on_and_goes_on(tune: Tune, folder: Path) -> None:
    (folder / "study.toml").write_text(
        (folder / "study.toml").read_text().replace(":train", ":slow").replace("trials = 6", "trials = 1000")
    )
    running = processes.start("-m", "tuner", "start", "study.toml", "--json", cwd=folder)
    deadline = time.monotonic() + 120
    while '"epochs": 2' not in tune("show", "study", "--json").out:
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; go on with: tune resume study"
    assert "Traceback" not in err
    assert tune("show", "study", "--json").json["state"] == "interrupted"
    resumed = tune("resume", "--trials", "2", "--quiet")
    assert resumed.code == 0, resumed.err
    assert tune("show", "study", "--json").json["state"] == "finished"


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("k=9", 9),
        ("k=1e-4", 1e-4),
        ("k=true", True),
        ('k="9"', "9"),
        ("k=[1, 'a']", [1, "a"]),
        ("k={ a = 1 }", {"a": 1}),
        ("k=adam", "adam"),
        ("k=a=b", "a=b"),
        ("k=", ""),
        ("k = 9 ", 9),
        ("k=1\nother=2", "1\nother=2"),
        ("k=2020-01-01", "2020-01-01"),
        ("k=./file.py:attr", "./file.py:attr"),
    ],
)
def test_settings_are_toml_values_or_plain_text(pair: str, value: object) -> None:
    assert settings([pair]) == {"k": value}


def test_settings_without_a_key_are_all_named() -> None:
    with pytest.raises(SpecError) as error:
        settings(["a=1", "nothing", "=2"])
    assert len(error.value.faults) == 2
