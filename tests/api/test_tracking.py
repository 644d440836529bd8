from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.core.trial import TrialState

SPACE = {"rate": tuner.Float(low=0.01, high=1.0, default=0.1, log=True)}

TRACKER = """
import json
from pathlib import Path

class Lines:
    def __init__(self, study, identity, *, path="lines.jsonl", fails=False, lacks=None):
        self.path, self.fails, self.lacks = Path(path), fails, lacks

    def write(self, *line):
        if self.fails:
            raise OSError("no such host")
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\\n")

    def missing(self, numbers):
        self.write("missing", sorted(numbers))
        return self.lacks or []

    def start(self, trial, curve):
        self.write("start", trial.number, dict(trial.params), [each.epoch for each in curve])

    def log(self, number, readings):
        self.write("log", number, [each.epoch for each in readings])

    def end(self, record):
        self.write("end", record.number, record.state.value)

    def close(self):
        self.write("close", None)
"""


def train(params: dict[str, Any], context: Any) -> Any:
    for epoch in range(context.epochs):
        loss = (params["rate"] - 0.3) ** 2 + 1 / (epoch + 1)
        yield {"train_loss": loss, "val_loss": loss}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracker.py").write_text(TRACKER)
    return tmp_path


def run(trials: int = 5, **options: Any) -> tuner.Study:
    tracking = {"tracking.use": ["./tracker.py:Lines"], "trainer.epochs": 4}
    if options:
        tracking["tracking.options"] = {"./tracker.py:Lines": options}
    return tuner.start(
        name="tracked", trainer=train, space=SPACE, trials=trials, settings=tracking, progress=False
    )


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_tracker_is_told_of_every_trial_what_the_study_records(here: Path) -> None:
    study = run()
    told = defaultdict(list)
    for kind, number, *rest in lines(here / "lines.jsonl"):
        told[number].append((kind, *rest))
    assert told.pop(None) == [("close",)]
    assert sorted(told) == [record.number for record in study.records]
    for record in study.records:
        first, *between, last = told[record.number]
        assert first == ("start", dict(record.params), [])
        assert last == ("end", record.state.value)
        epochs = [epoch for kind, *rest in between if kind == "log" for epoch in rest[0]]
        assert epochs == list(range(1, record.epochs + 1))


def test_a_tracker_that_fails_is_told_of_once_and_the_study_goes_on(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        study = run(fails=True)
    assert study.summary.counts["failed"] == 0
    assert sum(1 for record in study.records if record.state.is_over) == 5
    told = [record.getMessage() for record in caplog.records if "tracking" in record.getMessage()]
    assert told == ["tracking: tracker.py:Lines: OSError: no such host; the study goes on without it"]


def test_a_tracker_with_an_option_that_it_does_not_know_does_not_end_the_study(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(pth="x")
    assert "unexpected keyword argument 'pth'" in caplog.text


def test_a_resumed_study_tells_of_what_the_tracker_lacks_and_of_what_is_new(here: Path) -> None:
    run(trials=3, lacks=[1])
    (here / "lines.jsonl").unlink()
    study = tuner.resume("tracked", trainer=train, trials=4, progress=False)
    first, *rest = lines(here / "lines.jsonl")
    assert first == ["missing", [0, 1, 2]]
    whole = next(record for record in study.records if record.number == 1)
    assert rest[:2] == [
        ["start", 1, dict(whole.params), list(range(1, whole.epochs + 1))],
        ["end", 1, whole.state.value],
    ]
    assert {number for _, number, *_ in rest} == {1, 3, None}


def test_a_trial_that_was_interrupted_is_told_with_its_curve(here: Path) -> None:
    class Interrupt:
        def begin(self, spec: Any, notes: Any) -> None: ...

        def turn(self, status: Any) -> None:
            if status.spent.epochs >= 2:
                raise KeyboardInterrupt

    pause_s = [0.01]  # the observer is called every tenth of a second

    def slow(params: dict[str, Any], context: Any) -> Any:
        for reading in train(params, context):
            time.sleep(pause_s[0])
            yield reading

    settings = {"tracking.use": ["./tracker.py:Lines"], "trainer.epochs": 200, "search.pruner": "none"}
    with pytest.raises(KeyboardInterrupt):
        tuner.start(name="cut", trainer=slow, space=SPACE, trials=2, settings=settings, observer=Interrupt())
    stored = tuner.load("cut")
    under_way = [record for record in stored.records if record.state is TrialState.WAITING]
    assert under_way
    epochs = under_way[0].epochs
    (here / "lines.jsonl").unlink()
    pause_s[0] = 0.0
    tuner.resume("cut", trainer=slow, progress=False)
    told = [line for line in lines(here / "lines.jsonl") if line[1] == under_way[0].number]
    assert told[0][0] == "start"
    assert told[0][3] == list(range(1, epochs + 1))
    assert [epoch for line in told if line[0] == "log" for epoch in line[2]] == list(range(epochs + 1, 201))


def test_unknown_trackers_and_idle_options_are_refused_before_anything_is_trained(here: Path) -> None:
    with pytest.raises(tuner.SpecError, match=r"tracking\.use: unknown name 'tensorbord'.*'tensorboard'"):
        tuner.check("digits", settings={"tracking.use": ["tensorbord"]})
    with pytest.raises(tuner.SpecError, match="'mlflow' is not in use"):
        tuner.check("digits", settings={"tracking.options": {"mlflow": {"uri": "x"}}})


def test_a_tracker_whose_package_is_missing_is_refused_with_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.api.tracking.find_spec", lambda name: None)
    with pytest.raises(tuner.PluginError, match=r"pip install 'tuner\[mlflow\]'"):
        tuner.start(name="x", trainer=train, space=SPACE, trials=1, settings={"tracking.use": ["mlflow"]})
    assert not (here / "tuner.db").exists()
