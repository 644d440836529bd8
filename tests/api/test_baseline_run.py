"""Baselines beside studies, from the first trial to the locked rows."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

import tuner
from tests import processes
from tests.findings.trained import RATE
from tests.servers import until
from tuner import child_process
from tuner.api import baseline_run
from tuner.api.baseline_run import BaselineProcess, BaselineRun
from tuner.core.baseline import ALL, KINDS, Baseline, named
from tuner.core.data_spec import DataSpec
from tuner.data import locked
from tuner.results import overview
from tuner.results.report import page


@pytest.fixture(autouse=True)
def _on(monkeypatch: pytest.MonkeyPatch) -> None:
    turn_on(monkeypatch)


def turn_on(patch: pytest.MonkeyPatch) -> None:
    """Train them with the priority of the tests beside, which would keep the processor from them else."""
    patch.delenv("TUNER_BASELINES", raising=False)
    processes.fork_workers(patch)
    patch.setattr(baseline_run, "PATIENCE_S", 600.0)
    patch.setattr(child_process, "_BOOT", "import os\nos.nice = lambda _: 0\n" + child_process._BOOT)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Baseline, ...]:
    """What a study of that table has that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        turn_on(patch)
        return start(written(folder)).baselines


def written(folder: Path) -> Path:
    """Two classes that a line divides, but for noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = np.where(x[:, 0] - x[:, 1] + rng.normal(0, 0.3, 400) > 0, "yes", "no")
    pd.DataFrame(x, columns=list("abc")).assign(y=y).to_csv(folder / "line.csv", index=False)
    return folder / "line.csv"


def start(table: Path, name: str = "line", confirm: bool = False, **settings: Any) -> tuner.Study:
    keys = {"trainer.epochs": 3, "trainer.workers": 1, "confirm.repeats": 3, "confirm.top": 1, **settings}
    return tuner.start(
        str(table), name=name, target="y", space=RATE, trials=2, settings=keys, confirm=confirm
    )


def test_a_study_has_them_with_the_numbers_of_the_same_rows(table: Path) -> None:
    found = start(table)
    assert [each.kind for each in found.baselines] == list(KINDS)
    constant, linear, trees = found.baselines
    assert named(constant.kind, constant.says) == f"always {constant.says}"
    assert constant.val_score < linear.val_score
    assert linear.left_out is trees.left_out is None
    assert linear.rows == found.summary.facts["validation_rows"]
    assert linear.val_score > 0.8
    told = page(found)
    assert "Beside something simple" in told
    assert "a linear model" in told


def test_the_locked_rows_are_not_read_before_the_confirmation(
    table: Path, whole: tuple[Baseline, ...]
) -> None:
    spec = DataSpec(source=str(table), target="y")
    frame = pd.read_csv(table)
    rows = locked.unlock(spec, Path.cwd())
    assert isinstance(rows.x, pd.DataFrame)
    frame.loc[rows.x.index, ["a", "b", "c"]] = 1e6
    frame.to_csv(table, index=False)
    assert start(table).baselines == whole


def test_a_confirmation_measures_them_on_the_locked_rows(table: Path) -> None:
    start(table)
    confirmed = tuner.confirm("line")
    assert confirmed.test is not None
    assert [each.kind for each in confirmed.baselines] == list(KINDS)
    assert len(confirmed.locked_reads) == 1
    assert {each.trainings for each in confirmed.baselines} == {3}
    assert [c.kind for c in confirmed.contests if c.is_first] == list(KINDS)
    again = tuner.load("line").confirmation
    assert again is not None
    assert again.baselines == confirmed.baselines
    told = overview.simple(tuner.load("line"))
    assert told is not None
    assert told[0] == f"the {confirmed.test.rows} locked rows"
    assert told[1].head == ("", "loss", "accuracy", "trainings")


def test_on_one_split_they_are_what_scikit_learn_says_of_the_locked_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    y = (x.sum(axis=1) + rng.normal(0, 0.5, 300) > 0).astype(int)
    parts = {"X": x[:150], "y": y[:150], "X_validation": x[150:220], "y_validation": y[150:220]}
    np.savez(tmp_path / "t.npz", **parts, X_test=x[220:], y_test=y[220:])
    keys = {"trainer.epochs": 2, "trainer.workers": 1, "confirm.repeats": 3, "confirm.top": 1}
    tuner.start(str(tmp_path / "t.npz"), name="s", space=RATE, trials=2, settings=keys)
    linear = tuner.confirm("s").baselines[1]
    assert linear.trainings == 1
    mean, spread = x[:150].mean(axis=0), x[:150].std(axis=0)
    model = LogisticRegression(max_iter=1000).fit((x[:150] - mean) / spread, y[:150])
    test = (x[220:] - mean) / spread
    assert linear.loss is not None
    assert linear.score is not None
    assert linear.loss.estimate == pytest.approx(log_loss(y[220:], model.predict_proba(test)), rel=1e-3)
    assert linear.score.estimate == pytest.approx(accuracy_score(y[220:], model.predict(test)))
    assert linear.loss.low < linear.loss.estimate < linear.loss.high


def test_boosted_trees_that_take_long_are_trained_once_on_the_studys_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(300, 8)), np.arange(300) % 14
    frame = pd.DataFrame(x, columns=list("abcdefgh")).assign(y=[f"c{i}" for i in y])
    frame["a"] += y
    frame.to_csv(tmp_path / "many.csv", index=False)
    table = tmp_path / "many.csv"
    trees: dict[str, Any] = {"baselines.use": ["boosted_trees"]}
    start(table, "apart", **trees)
    [alone] = tuner.confirm("apart").baselines
    assert alone.trainings == 1
    # A confirmation that follows at once takes what the search has trained, with the same numbers.
    monkeypatch.setattr("tuner.api.run.takes_long", lambda *_: False)
    begun: list[BaselineProcess] = []

    class Counted(BaselineProcess):
        def __init__(self) -> None:
            super().__init__()
            begun.append(self)

    monkeypatch.setattr("tuner.api.baseline_run.BaselineProcess", Counted)
    keys = {"trainer.epochs": 3, "trainer.workers": 1, "confirm.repeats": 3, "confirm.top": 1}
    found = tuner.start(
        str(table), name="at once", target="y", space=RATE, trials=2, confirm=True,
        settings=keys | trees,
    )  # fmt: skip
    assert len(begun) == 1
    assert found.confirmation is not None
    [at_once] = found.confirmation.baselines
    assert (at_once.loss, at_once.score, at_once.trainings) == (alone.loss, alone.score, 1)


def test_of_several_labels_they_are_trained_label_by_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    frame["wet"] = np.where(frame["a"] > 0.5, "yes", "no")
    frame["cold"] = np.where(frame["b"] > 0, "yes", "no")
    frame.to_csv(tmp_path / "labels.csv", index=False)
    keys = {"data.target": ["wet", "cold"], "trainer.epochs": 2, "trainer.workers": 1}
    keys |= {"confirm.repeats": 3, "confirm.top": 1}
    found = tuner.start(str(tmp_path / "labels.csv"), space=RATE, trials=2, settings=keys)
    constant, linear, trees = found.baselines
    assert constant.says == "the commoner value of each label"
    assert constant.left_out is linear.left_out is trees.left_out is None
    assert constant.val_loss > linear.val_loss
    assert linear.val_score > 0.8
    confirmed = tuner.confirm(found.name)
    assert [each.kind for each in confirmed.baselines] == list(KINDS)
    for each in confirmed.baselines:
        assert each.loss is not None
        assert each.score is not None
        assert each.trainings == 3


def test_they_can_be_turned_off(table: Path) -> None:
    off: dict[str, Any] = {"baselines.use": []}
    found = start(table, **off)
    assert found.baselines == ()
    assert tuner.confirm("line").baselines == ()
    assert "Beside something simple" not in page(found.refresh())


def test_one_kind_alone_can_be_asked_for(table: Path) -> None:
    one: dict[str, Any] = {"baselines.use": ["linear"]}
    found = start(table, **one)
    assert [each.kind for each in found.baselines] == ["linear"]


def test_what_is_not_done_when_the_search_ends_is_stored_after_its_confirmation(
    table: Path, whole: tuple[Baseline, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = BaselineRun.keep

    def late(self: BaselineRun, database: Any, *, waits: bool = True) -> None:
        if waits:
            keep(self, database)

    monkeypatch.setattr(BaselineRun, "keep", late)
    monkeypatch.setattr("tuner.api.run.takes_long", lambda *_: False)
    found = start(table, confirm=True)
    assert found.baselines == whole
    assert found.confirmation is not None
    assert [each.kind for each in found.confirmation.baselines] == list(KINDS)


def test_a_study_that_goes_on_trains_none_anew(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = start(table).baselines

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a process was started")

    monkeypatch.setattr("tuner.api.baseline_run.BaselineProcess", refuse)
    assert tuner.resume("line", trials=3).baselines == before
    assert tuner.resume("line").baselines == before


def test_what_a_killed_process_left_is_trained_when_the_study_goes_on(
    table: Path, whole: tuple[Baseline, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TUNER_BASELINES", "off")
        assert start(table).baselines == ()
    assert tuner.resume("line").baselines == whole


def test_other_data_has_other_ones(table: Path) -> None:
    before = start(table).baselines
    frame = pd.read_csv(table)
    pd.concat([frame, frame.iloc[:80].assign(a=0.0)]).to_csv(table, index=False)
    after = tuner.resume("line", trials=3, allow_changes=True).baselines
    assert [each.kind for each in after] == list(KINDS)
    assert [each.val_loss for each in after] != [each.val_loss for each in before]


def test_a_study_of_an_earlier_version_has_none_and_is_shown(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_BASELINES", "off")
    found = start(table)
    assert ALL not in found.summary.facts
    assert found.baselines == ()
    assert overview.simple(found) is None
    assert "Beside something simple" not in page(found)


_KILLED = """
import os, pathlib
import tuner
from tuner.api import baseline_run

real = baseline_run.BaselineProcess.order
def order(self, text):
    real(self, text)
    pathlib.Path("new").write_text(str(self._process.pid))
    os.rename("new", "pid")
baseline_run.BaselineProcess.order = order
tuner.start({table!r}, name="killed", target="y", trials=100000, settings={{"trainer.workers": 1}})
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_their_process_ends_with_the_studys_own(table: Path, way: signal.Signals) -> None:
    code = _KILLED.format(table=str(table))
    study = processes.start("-c", code)
    until(Path("pid").exists)
    process = int(Path("pid").read_text())
    os.kill(process, 0)
    study.send_signal(way)
    with suppress(subprocess.TimeoutExpired):
        study.wait(20)
    study.send_signal(way)  # Python loses an interrupt that meets a callback of its garbage collector
    study.wait()
    until(lambda: not _is_living(process))
    # What was cut off goes on, and has them.
    assert tuner.load("killed").baselines == ()
    trials = len(tuner.load("killed").records) + 1
    assert [each.kind for each in tuner.resume("killed", trials=trials).baselines] == list(KINDS)


def _is_living(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
