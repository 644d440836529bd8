"""What a function of one's own may return and raise, and what its study makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.errors import TrialError

SPACE = {"x": tuner.Float(low=0, high=1, default=0.5)}
TABLE = {
    "name": "s",
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "data": {"source": "sklearn:wine"},
    "trainer": {"epochs": 1},
    "space": {"use": ["optimization"]},
    "budget": {"trials": 2},
}


@pytest.mark.parametrize("pruner", ["asha", "asha-stop", "hyperband", "median", "percentile"])
def test_a_function_that_returns_one_number_is_never_pruned(pruner: str) -> None:
    def evaluate(params: Mapping[str, Any], context: Any) -> float:
        return float(params["x"])

    settings = {"search.pruner": pruner, "search.startup_trials": 2, "search.sampler": "random"}
    study = tuner.start(trainer=evaluate, space=SPACE, trials=20, settings=settings)
    assert [(record.state, record.epochs, record.rule) for record in study.records] == [
        (tuner.TrialState.FINISHED, 1, None)
    ] * 20
    assert all(record.conclusive for record in study.records)


@pytest.mark.parametrize("pruner", ["asha", "median"])
def test_a_function_that_yields_is_pruned(pruner: str) -> None:
    def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        for _ in range(context.epochs):
            yield float(params["x"])

    settings = {"search.pruner": pruner, "search.startup_trials": 2, "search.sampler": "random"}
    study = tuner.start(trainer=train, space=SPACE, trials=20, settings=settings)
    assert any(record.rule == "pruner" for record in study.records)


@pytest.mark.parametrize("has_state", [True, False])
def test_a_loop_is_paused_and_goes_on_from_its_state_or_from_its_start(has_state: bool) -> None:
    trained: list[tuple[int, int]] = []

    def train(params: Mapping[str, Any], context: Any) -> Iterator[Mapping[str, Any]]:
        epoch = (context.resume() or {"epoch": 0})["epoch"]
        while True:
            epoch += 1
            trained.append((context.number, epoch))
            state = {"state": {"epoch": epoch}} if has_state else {}
            yield {"val_loss": float(params["x"]) + 1 / epoch, **state}

    settings = {
        "search.pruner": "asha",
        "search.sampler": "random",
        "search.reduction": 2,
        "trainer.epochs": 8,
    }
    study = tuner.start(trainer=train, space=SPACE, trials=20, settings=settings)
    epochs = sum(record.epochs for record in study.records)
    assert {record.rule for record in study.records} == {"pruner", None}
    assert len(set(trained)) == epochs
    again = {number for number, _ in trained if trained.count((number, 1)) > 1}
    assert bool(again) is not has_state
    assert (len(trained) > epochs) is not has_state


def test_an_estimator_that_is_fitted_as_a_whole_is_never_pruned() -> None:
    changes = {
        "trainer": {"use": "sklearn", "model": "forest", "workers": 1, "settings": {"n_estimators": 3}},
        "space": {"max_depth": {"type": "int", "low": 1, "high": 12, "default": 6}},
        "search": {"pruner": "median", "startup_trials": 2, "sampler": "random"},
        "budget": {"trials": 10},
    }
    study = tuner.start(TABLE | changes)
    assert {record.state for record in study.records} == {tuner.TrialState.FINISHED}


class Panic(BaseException):
    """What a panic in a Rust library is in Python: no Exception."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "a panic": lambda: Panic("called `Option::unwrap()` on a `None` value"),
    "a cancelled task": asyncio.CancelledError,
    "an end of a generator": GeneratorExit,
    "an exit": lambda: SystemExit("no such file"),
}


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_a_function_raises_fails_its_trial_alone(kind: str, workers: int) -> None:
    raised = RAISED[kind]

    def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        yield 0.5
        if context.number == 1:
            raise raised()

    settings = {"trainer.epochs": 2, "search.pruner": "none"}
    study = tuner.start(trainer=train, space=SPACE, trials=4, workers=workers, settings=settings)
    assert [record.state.value for record in study.records] == ["finished", "failed", "finished", "finished"]
    assert (study.trial(1).record.reason or "").startswith(type(raised()).__name__)


def test_an_interrupt_in_a_function_ends_its_study_and_fails_no_trial() -> None:
    def train(params: Mapping[str, Any], context: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.start(trainer=train, space=SPACE, trials=4)
    assert [record.state.value for record in tuner.load("train").records] == ["waiting"]


def test_what_a_rule_raises_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Panic(BaseException): pass\ndef decide(trial, curve):\n    raise Panic('disco\\nand more')\n"
    )
    with pytest.raises(tuner.PluginError, match=r"decide: raised Panic at trial 0, epoch 1: disco$"):
        tuner.start(TABLE | {"stop": {"rules": ["./own.py:decide"]}})


def test_what_a_data_function_raises_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def rows():\n    raise SystemExit('no rows today')\n")
    with pytest.raises(tuner.DataError, match=r"own.py:rows: the function raised SystemExit: no rows today$"):
        tuner.start(TABLE | {"data": {"source": "./own.py:rows"}})


def test_a_file_that_exits_when_it_is_imported_is_told_as_a_fault(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import sys\nsys.exit('usage: own.py DATA')\n")
    with pytest.raises(tuner.PluginError, match=r"own\.py: cannot be run: SystemExit: usage: own\.py DATA"):
        tuner.start(trainer="./own.py:train", space=SPACE, name="s", trials=1)


class Unreadable(Exception):
    """An exception whose message cannot be made."""

    def __str__(self) -> str:
        raise ValueError("there are no words")


def test_an_exception_without_readable_words_fails_its_trial() -> None:
    def train(params: Mapping[str, Any], context: Any) -> float:
        raise Unreadable

    with pytest.raises(TrialError, match="Unreadable: its message cannot be read"):
        tuner.start(trainer=train, space=SPACE, trials=1)
    assert tuner.load("train").trial(0).record.reason == "Unreadable: its message cannot be read"


def test_an_endless_message_is_stored_shortened_with_its_beginning_and_its_end() -> None:
    def train(params: Mapping[str, Any], context: Any) -> float:
        raise ValueError("begin\0\ud800" + 5_000_000 * "x" + "end")

    with pytest.raises(TrialError) as told:
        tuner.start(trainer=train, space=SPACE, trials=1)
    assert len(str(told.value)) <= 1_200
    record = tuner.load("train").trial(0).record
    assert record.reason is not None
    assert record.traceback is not None
    assert record.reason.startswith("ValueError: begin\ufffd?x")
    assert record.reason.endswith("xend")
    assert len(record.reason) <= 1_020
    assert record.traceback.startswith("Traceback (most recent call last)")
    assert record.traceback.endswith("xend\n")
    assert len(record.traceback) <= 20_000
    assert Path("tuner.db").stat().st_size < 1_000_000


def test_a_number_of_ones_own_may_be_called_as_a_column() -> None:
    def train(params: Mapping[str, Any], context: Any) -> Iterator[Mapping[str, float]]:
        yield {"val_loss": 0.5, "value": 3.0, "number": 7.0, "params.x": 9.0, "auc": 1.0}

    study = tuner.start(trainer=train, space=SPACE, name="s", trials=2, settings={"trainer.epochs": 1})
    trials, curves = study.trials, study.curves
    assert trials.number.tolist() == curves.number.tolist() == [0, 1]
    assert trials.value.tolist() == [0.5, 0.5]
    assert trials["params.x"].tolist() == [view.params["x"] for view in map(study.trial, (0, 1))]
    own = ["reading.value", "reading.number", "reading.params.x", "auc"]
    assert trials[own].to_numpy().tolist() == curves[own].to_numpy().tolist() == [[3, 7, 9, 1]] * 2
