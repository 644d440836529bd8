from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from tests import processes
from tuner.core.budget import StudyState

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9)}


def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    """A loss that falls from epoch to epoch, faster near x = 0.3."""
    loss = 1.0
    for _ in range(context.epochs):
        loss *= 0.5 + abs(params["x"] - 0.3)
        yield loss


def table(study: tuner.Study) -> list[tuple[Any, ...]]:
    """What must be the same however often a study was interrupted."""
    return [(r.number, dict(r.params), r.state, r.value, r.epochs, r.reason) for r in study.records]


def test_study_that_is_stored_is_not_started_again() -> None:
    tuner.start(trainer=train, space=SPACE, trials=2)
    with pytest.raises(tuner.StudyExists, match="tune resume train"):
        tuner.start(trainer=train, space=SPACE, trials=2)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_study_in_two_sessions_ends_like_one_that_never_stopped(sampler: str) -> None:
    # Under asha what is paused at the end of a session is over, whatever the next one may train.
    settings = {"search.sampler": sampler, "search.grid_points": 30, "search.pruner": "asha-stop"}
    whole = tuner.start(trainer=train, space=SPACE, name="whole", trials=24, settings=settings)
    tuner.start(trainer=train, space=SPACE, name="parts", trials=11, settings=settings)
    parts = tuner.resume("parts", trials=24, trainer=train)
    assert table(parts) == table(whole)


def test_interrupted_trial_starts_again_under_its_own_number() -> None:
    interrupt = [7]

    def fragile(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        for epoch, loss in enumerate(train(params, context)):
            if context.number in interrupt and epoch == 2:
                interrupt.clear()
                raise KeyboardInterrupt
            yield loss

    settings = {"search.pruner": "none"}
    with pytest.raises(KeyboardInterrupt):
        tuner.start(trainer=fragile, space=SPACE, name="cut", trials=12, settings=settings)
    cut = tuner.load("cut")
    assert cut.summary.state is StudyState.INTERRUPTED
    assert cut.trial(7).record.state is tuner.TrialState.WAITING
    tuner.resume(trainer=fragile)
    whole = tuner.start(trainer=train, space=SPACE, name="whole", trials=12, settings=settings)
    assert table(cut.refresh()) == table(whole)
    assert [r.interruptions for r in cut.records] == [0] * 7 + [1] + [0] * 4


def test_a_finished_study_that_is_resumed_stays_as_it_is() -> None:
    before = table(tuner.start(trainer=train, space=SPACE, trials=2))
    for trials in (None, 2):
        again = tuner.resume("train", trainer=train, trials=trials)
        assert again.summary.state is StudyState.FINISHED
        assert table(again) == before
    with pytest.raises(tuner.SpecError, match="tune resume train --trials N"):
        tuner.resume("train", trainer=train, trials=1)
    assert len(tuner.resume("train", trainer=train, trials=3).records) == 3


DRIVES = """
import pathlib, time, tuner

def slow(params, context):
    while True:
        pathlib.Path("trains").touch()  # what it prints is kept with the trial
        time.sleep(0.05)
        yield 1.0

settings = {"trainer.epochs": 1000, "search.pruner": "none"}
tuner.start(trainer=slow, space={"x": tuner.Float(low=0, high=1, default=0.9)}, name="driven", trials=1,
            settings=settings)
"""


def test_resume_without_a_name_leaves_a_study_alone_that_is_being_driven(tmp_path: Path) -> None:
    tuner.start(trainer=train, space=SPACE, name="left", trials=2)
    with closing(sqlite3.connect("tuner.db")) as connection, connection:
        connection.execute("UPDATE tuner_studies SET state = 'running', reason = NULL")
    with processes.start("-c", DRIVES, cwd=tmp_path) as driver:
        try:
            while not (tmp_path / "trains").exists():
                assert driver.poll() is None
                time.sleep(0.05)
            assert tuner.resume(trainer=train).name == "left"
            with pytest.raises(
                tuner.StudyLocked, match="every unfinished study here is running already: driven"
            ):
                tuner.resume(trainer=train)
        finally:
            driver.kill()


def test_study_that_was_killed_before_its_last_word_is_ended_by_resume() -> None:
    study = tuner.start(trainer=train, space=SPACE, trials=3)
    before = table(study)
    with closing(sqlite3.connect("tuner.db")) as connection, connection:
        connection.execute("UPDATE tuner_studies SET state = 'running', reason = NULL")
    assert tuner.load("train").summary.state is StudyState.INTERRUPTED
    again = tuner.resume("train", trainer=train)
    assert again.summary.state is StudyState.FINISHED
    assert again.summary.reason == "the budget of 3 trials is used up"
    assert table(again) == before


def test_finite_space_ends_the_study_when_it_is_used_up() -> None:
    space = {"x": tuner.Choice(choices=(0.1, 0.2, 0.3), default=0.1)}
    study = tuner.start(trainer=train, space=space, trials=50)
    assert len(study.records) == 3
    assert "every configuration" in str(study.summary.reason)


def test_failing_trials_keep_their_traceback_and_the_study_goes_on() -> None:
    def broken(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        if context.number % 2:
            raise RuntimeError("no luck")
        yield 1.0

    study = tuner.start(trainer=broken, space=SPACE, trials=6)
    assert study.summary.counts["failed"] == 3
    assert "no luck" in str(study.trial(1).record.reason)
    assert "Traceback" in str(study.trial(1).record.traceback)


@pytest.mark.parametrize("max_failures", [4, 100])
def test_a_study_of_which_every_trial_fails_raises_and_is_kept(max_failures: int) -> None:
    def broken(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        raise RuntimeError("no luck")

    settings = {"stop.max_failures": max_failures}
    with pytest.raises(
        tuner.TrialError, match=r"broken: no trial has a value; trial 0 and \d others: RuntimeError: no luck"
    ):
        tuner.start(trainer=broken, space=SPACE, trials=6, settings=settings)
    study = tuner.load("broken")
    assert study.summary.state is (StudyState.FAILED if max_failures == 4 else StudyState.FINISHED)
    assert len(study.records) == min(max_failures, 6)
    assert study.records[0].traceback is not None
    with pytest.raises(tuner.TrialError, match="no trial has a value"):
        tuner.resume("broken", trainer=broken, trials=8)


def test_a_study_that_ends_early_as_trials_fail_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def fragile(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        if context.number:
            raise RuntimeError("no luck")
        yield 1.0

    study = tuner.start(trainer=fragile, space=SPACE, trials=9, settings={"stop.max_failures": 2})
    assert study.summary.state is StudyState.FAILED
    assert "fragile: ended early: 2 trials failed; the last: trial 2: RuntimeError: no luck" in caplog.text


def test_notes_are_kept_and_logged_and_progress_is_shown_where_it_is_asked_for(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO", logger="tuner"):
        study = tuner.start(trainer=train, space=SPACE, trials=3)
    assert any(note.startswith("runs: in this process") for note in study.notes)
    assert all(f"train: {note}" in caplog.text for note in study.notes)
    assert capsys.readouterr().err == "", "stderr is no terminal here"
    tuner.resume("train", trainer=train, trials=5, progress=True)
    assert "5/5 trials" in capsys.readouterr().err


def test_the_table_of_trials_has_numbers_of_ones_own() -> None:
    def measured(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        for epoch in range(2):
            yield {"val_loss": 1.0 + epoch, "recall": params["x"] + epoch}

    trials = tuner.start(trainer=measured, space=SPACE, trials=3).trials
    assert trials["recall"].tolist() == trials["params.x"].tolist()


def test_deleted_study_leaves_nothing_behind(tmp_path: Path) -> None:
    tuner.start("digits", trials=1, settings={"trainer.epochs": 1})
    assert list((tmp_path / "tuner_models").rglob("*.safetensors"))
    tuner.delete("digits")
    assert not list((tmp_path / "tuner_models").rglob("*.safetensors"))
    assert tuner.studies().empty
    with pytest.raises(tuner.StudyNotFound):
        tuner.load("digits")


def test_no_test_row_reaches_a_search(tmp_path: Path) -> None:
    """Two files that differ in nothing but the test split give the same study to the last bit."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    tables = []
    for name, noise in (("one", 0.0), ("other", 1e6)):
        np.savez(f"{name}.npz", X=x, y=y, X_test=x[:30] + noise, y_test=1 - y[:30])
        study = tuner.start(
            f"{name}.npz", name=name, trials=3, settings={"trainer.epochs": 2, "trainer.workers": 1}
        )
        tables.append(table(study))
    assert tables[0] == tables[1]


def test_models_of_the_best_trials_and_the_default_are_kept_and_no_others(tmp_path: Path) -> None:
    study = tuner.start(
        "digits", trials=9, settings={"trainer.epochs": 2, "trainer.keep": 2, "trainer.workers": 1}
    )
    kept = {record.number for record in study.records if record.model_path}
    on_disk = {int(path.name) for path in (tmp_path / "tuner_models").glob("digits-*/[0-9]*")}
    assert kept == on_disk
    assert {0, study.best.number} <= kept
    assert len(kept) <= 3


def test_relative_files_of_a_study_are_found_from_anywhere(tmp_path: Path, houses: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.move(houses, project / "house.csv")
    (project / "study.toml").write_text(
        '[data]\nsource = "house.csv"\ntarget = "price"\n[trainer]\nepochs = 1\nworkers = 1\n'
        '[budget]\ntrials = 1\n[space]\nuse = ["batch"]\n'
    )
    tuner.start("project/study.toml")
    os.chdir("/")
    url = f"sqlite:///{tmp_path}/tuner.db"
    assert len(tuner.resume("study", trials=2, storage=url).records) == 2


def test_storage_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_STORAGE", f"sqlite:///{tmp_path}/elsewhere.db")
    tuner.start(trainer=train, space=SPACE, trials=1)
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "tuner.db").exists()
