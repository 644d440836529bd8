from __future__ import annotations

import json
from pathlib import Path

import pytest

import tuner
from tests.cli.program import Tune
from tuner.cli.show import endings, spread
from tuner.core.trial import DIVERGENCE, TrialRecord, TrialState


def test_list_is_empty_before_the_first_study(tune: Tune, folder: Path) -> None:
    ended = tune("list")
    assert "tune start" in ended.out + ended.err
    assert not (folder / "tuner.db").exists()


def test_list_shows_every_study(stored: Tune) -> None:
    stored("start", "study.toml", "--quiet", "--name", "another")
    shown = stored("list")
    assert "another" in shown.out
    assert "a parabola" in shown.out
    studies = stored("list", "--json").json["studies"]
    assert {study["study"] for study in studies} == {"study", "another"}
    assert all(study["state"] == "finished" and sum(study["counts"].values()) == 6 for study in studies)


def test_show_tells_how_trials_ended_and_which_are_best(stored: Tune) -> None:
    ended = stored("show", "study")
    assert ended.code == 0, ended.err
    assert "6 trials" in ended.out
    assert "finished" in ended.out
    assert "val_loss" in ended.out


def test_show_as_json_has_every_trial_with_every_key(stored: Tune) -> None:
    table = stored("show", "study", "--json").json
    assert {"study", "spec", "state", "trials"} <= table.keys()
    assert table["spec"]["budget"]["trials"] == 6
    for trial in table["trials"]:
        assert trial.keys() == {
            "number", "params", "state", "value", "reason", "rule", "epochs", "interruptions", "seconds",
            "conclusive", "best_epoch", "train_loss", "val_loss", "train_score", "val_score", "gap",
            "errors", "model_path", "started_at", "ended_at", "origin", "comment",
        }  # fmt: skip
    assert table["trials"][0]["params"] == {"x": 0.2}
    assert table["trials"][0]["value"] == pytest.approx(0.25 + 0.125 + 0.1)


def test_show_tells_what_was_found_and_what_to_do(stored: Tune) -> None:
    shown = " ".join(stored("show", "study").out.split())
    assert "findings: Only 6 trials have a value: the search has hardly begun" in shown
    assert "Run more trials: [budget] trials = 30." in shown
    found = stored("show", "study", "--json").json["findings"]
    assert [each["name"] for each in found] == ["few_good"]
    assert found[0].keys() == {"name", "severity", "sentence", "numbers", "advice"}
    assert (found[0]["severity"], found[0]["numbers"]) == ("advice", {"good": 6, "trials": 6})
    assert [each.sentence for each in tuner.load("study").findings()] == [found[0]["sentence"]]


def test_show_a_trial_prints_its_settings_and_curve(stored: Tune) -> None:
    ended = stored("show", "study", "0")
    assert ended.code == 0, ended.err
    assert "study trial 0" in ended.out
    assert "setting" in ended.out
    assert "train loss" in ended.out
    assert "▁" in ended.out
    assert "train score" not in ended.out, "it was not measured"


def test_show_a_trial_as_json_has_its_curve(stored: Tune) -> None:
    trial = stored("show", "study", "0", "--json").json
    assert trial["number"] == 0
    assert trial["traceback"] is None
    assert [reading["epoch"] for reading in trial["curve"]] == [1, 2, 3, 4]
    assert trial["curve"][1]["train_loss"] == pytest.approx(0.25 + 0.25)
    assert trial["curve"][1]["train_score"] is None


def test_a_failed_trial_keeps_its_traceback(tune: Tune, folder: Path) -> None:
    (folder / "study.toml").write_text((folder / "study.toml").read_text().replace(":train", ":fails_once"))
    assert tune("start", "study.toml", "--quiet").code == 0
    trials = tune("show", "study", "--json").json["trials"]
    failed = next(trial["number"] for trial in trials if trial["state"] == "failed")
    assert "only the default works" in tune("show", "study", str(failed)).out
    assert "Traceback" in tune("show", "study", str(failed), "--json").json["traceback"]
    assert "failed: " in tune("show", "study").out


def test_best_shows_the_best_trial_beside_the_default(stored: Tune) -> None:
    ended = stored("best", "study")
    assert ended.code == 0
    assert "default (trial 0)" in ended.out


def test_export_writes_a_folder_and_names_its_files(tune: Tune, folder: Path) -> None:
    text = (folder / "trainer.py").read_text()
    kept = "    import numpy\n    context.keep({'w': numpy.full(2, params['x'])})\n    for epoch"
    (folder / "trainer.py").write_text(text.replace("    for epoch", kept))
    tune("start", "study.toml", "--quiet")
    ended = tune("export", "study", "out", "--json")
    assert ended.code == 0, ended.err
    assert "curves.csv" in {Path(file).name for file in ended.json["files"]}
    assert all(Path(file).is_file() for file in ended.json["files"])
    again = tune("export", "study", "out")
    assert again.code == 2
    assert len(again.err.splitlines()) == 1
    for wrong in ("trainer.py/out", "/proc/out", "x" * 300):
        refused = tune("export", "study", wrong)
        assert refused.code == 2
        assert "cannot be written" in refused.err
        assert len(refused.err.splitlines()) == 1
    other = tune("export", "study", "other", "--trial", "0")
    assert other.code == 0, other.err
    assert json.loads((folder / "other" / "best.json").read_text())["trial"] == 0


def test_delete_refuses_where_nobody_can_be_asked(stored: Tune) -> None:
    refused = stored("delete", "study")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert stored("best", "study").code == 0
    assert stored("delete", "study", "--yes").code == 0
    assert stored("best", "study").code == 2


@pytest.mark.parametrize(("answer", "is_kept"), [(True, False), (False, True)])
def test_delete_asks_on_a_terminal(
    stored: Tune, monkeypatch: pytest.MonkeyPatch, answer: bool, is_kept: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda _question: answer)
    assert stored("delete", "study").code == 0
    assert (stored("best", "study").code == 0) is is_kept


def test_endings_are_counted_by_their_cause() -> None:
    records = [
        TrialRecord(0, {}, TrialState.FINISHED),
        TrialRecord(1, {}, TrialState.STOPPED, rule="pruner", reason="a"),
        TrialRecord(2, {}, TrialState.STOPPED, rule="pruner", reason="b"),
        TrialRecord(3, {}, TrialState.FAILED, reason="boom"),
        TrialRecord(4, {}, TrialState.STOPPED, rule="patience", conclusive=True),
        TrialRecord(5, {}, TrialState.STOPPED, rule=DIVERGENCE),
    ]
    assert dict(endings(records)) == {
        "cut short by pruner": 2,
        "finished": 1,
        "failed: boom": 1,
        "stopped early by patience": 1,
        "diverged": 1,
    }


@pytest.mark.parametrize(("length", "most"), [(0, 12), (5, 12), (12, 12), (13, 12), (100, 12)])
def test_a_long_curve_is_shown_from_its_first_to_its_last_epoch(length: int, most: int) -> None:
    indices = spread(length, most)
    assert len(indices) == len(set(indices)) == min(length, most)
    assert not length or (indices[0], indices[-1]) == (0, length - 1)


def test_try_asks_for_a_trial_that_is_trained_when_the_study_goes_on(stored: Tune) -> None:
    ended = stored("try", "study", "x=0.25")
    assert ended.code == 0, ended.err
    assert "it is trained when the study goes on: tune resume study --trials N, N above 6" in ended.out
    assert stored("try", "study", "x=0.5", "--json").json == {
        "study": "study", "params": {"x": 0.5}, "like": None, "is_driven": False
    }  # fmt: skip
    assert stored("resume", "study", "--trials", "8", "--quiet").code == 0
    trials = stored("show", "study", "--json").json["trials"]
    assert [(t["params"], t["origin"]) for t in trials[6:]] == [({"x": 0.25}, "given"), ({"x": 0.5}, "given")]


def test_stop_and_raise_say_what_to_do_where_nothing_runs(stored: Tune) -> None:
    for command, words in (
        (("stop", "study"), "no process drives 'study': there is nothing to stop"),
        (("stop", "study", "--trial", "1"), "no process drives 'study': its trials do not train"),
        (("raise", "study", "--trials", "50"), "tune resume study --trials 50"),
        (("raise", "study"), "no process drives 'study'"),
        (("try", "study"), "which configuration? Give parameters as NAME=VALUE, or --like TRIAL"),
        (("try", "study", "--like", "99"), "there is no trial 99; it has 6 trials"),
    ):
        ended = stored(*command)
        assert (ended.code, words in ended.err) == (2, True), ended.err


def test_try_refuses_what_is_no_configuration_in_one_line(stored: Tune) -> None:
    faults = {"x=7": "x: 7 is not in 0 to 1", "y=1": "y: unknown parameter", "x": "give KEY=VALUE"}
    for given, words in faults.items():
        ended = stored("try", "study", given)
        assert ended.code == 2
        assert words in ended.err


def test_show_has_the_log_of_a_trial_and_the_end_of_it_where_it_failed(tune: Tune, folder: Path) -> None:
    (folder / "trainer.py").write_text(
        "def train(params, context):\n"
        "    print('hello from', context.number, end='\\nand\\tmore\\n')\n"
        "    if context.number == 1:\n"
        "        raise ValueError('boom')\n"
        "    yield {'train_loss': 1.0, 'val_loss': params['x']}\n"
    )
    table = (
        '[trainer]\nuse = "./trainer.py:train"\nworkers = 1\n[space.x]\ntype = "float"\nlow = 0\nhigh = 1\n'
    )
    (folder / "talks.toml").write_text(table)
    assert tune("start", "talks.toml", "--trials", "2", "--quiet").code == 0
    assert tune("show", "talks", "0", "--log").out == "hello from 0\nand more\n"
    assert tune("show", "talks", "1", "--log", "--json").json == {
        "study": "talks", "trial": 1, "log": "hello from 1\nand\tmore"
    }  # fmt: skip
    assert "printed 2 lines; see: tune show talks 0 --log" in tune("show", "talks", "0").out
    shown = tune("show", "talks", "1").out
    assert "the last that it printed:\nhello from 1" in shown
    ended = tune("show", "talks", "--log")
    assert (ended.code, ended.err) == (2, "error: --log: which trial? tune show talks TRIAL --log\n")


def test_import_takes_over_a_study_of_optunas_and_says_how_much(tune: Tune, folder: Path) -> None:
    import optuna

    old = optuna.create_study(storage=f"sqlite:///{folder}/old.db", study_name="old")
    old.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    ended = tune("import", "old.db", "old", "--as", "new")
    assert ended.code == 0, ended.err
    assert "4 trials of 'old' in old.db imported (4 finished)" in ended.out
    assert "4  imported" in tune("show", "new").out
    assert "1 + 4" in tune("list").out
    [listed] = tune("list", "--json").json["studies"]
    assert (sum(listed["counts"].values()), listed["imported"]) == (1, 4)
    trials = tune("show", "new", "--json").json["trials"]
    assert [trial["origin"] for trial in trials] == ["searched", *["imported"] * 4]
    assert tune("import", "old.db", "--as", "new", "--json").json == {"study": "new", "imported": 4}
    assert tune("import", "no.db").code == 2
