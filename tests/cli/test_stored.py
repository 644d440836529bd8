from __future__ import annotations

import json
from pathlib import Path

import pytest

import tuner
from tests.cli.program import Tune
from tuner.cli.show import endings, spread
from tuner.core.trial import TrialRecord, TrialState


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
            "errors", "model_path", "started_at", "ended_at", "origin",
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
    ]
    assert dict(endings(records)) == {"stopped early by pruner": 2, "finished": 1, "failed: boom": 1}


@pytest.mark.parametrize(("length", "most"), [(0, 12), (5, 12), (12, 12), (13, 12), (100, 12)])
def test_a_long_curve_is_shown_from_its_first_to_its_last_epoch(length: int, most: int) -> None:
    indices = spread(length, most)
    assert len(indices) == len(set(indices)) == min(length, most)
    assert not length or (indices[0], indices[-1]) == (0, length - 1)
