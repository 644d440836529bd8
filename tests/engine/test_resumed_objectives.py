"""A killed study of several objectives and constraints ends as one that was never interrupted."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.parts import ListStore, engine
from tests.engine.test_resumed import EPOCHS, Killed, Mortal, Rows, Sums
from tests.fronts import front
from tuner import callbacks
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Outcome, TrialBatch
from tuner.core.trial import Reading
from tuner.executors import Inline
from tuner.search import OptunaSearcher
from tuner.testing.executor import artifacts, study

TRIALS = 16


class SizedRows(Rows):
    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        found: dict[int, Outcome] = {}
        for row, outcome in super().advance(rows).items():
            assert isinstance(outcome, Reading)
            size = 2.0 - float(self.rows[row][0].params["hint"])
            found[row] = replace(outcome, extras={"size": size, "latency_ms": time.perf_counter()})
        return found


class Sized(Sums):
    def open_batch(self, job: Job) -> TrialBatch:
        return SizedRows(job.rows, pauses=self._pauses)


def specified() -> StudySpec:
    objectives = {"also": {"size": "minimize"}, "at_most": {"gap": 0.4}}
    table: dict[str, Any] = {
        **study(EPOCHS, search={"pruner": "asha", "startup_trials": 4, "seed": 3}).to_table(),
        "objective": {"metric": "val_loss", **objectives},
        "space": {"hint": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}},
    }
    table["trainer"]["checkpoint_seconds"] = 1e-9
    return StudySpec.parse(table)


def run(store: ListStore, models: Path, spec: StudySpec) -> None:
    worker = Inline(Sized, Job(spec, None, rows=3, resources=Resources(threads=1)), artifacts(models))
    searcher = OptunaSearcher(spec.search_space(), spec.search, spec.objectives())
    driver = engine(
        worker,
        store,
        models,
        searcher=searcher,
        callbacks=callbacks.build(spec),
        objective=spec.objectives(),
        trials=TRIALS,
        keep=3,
    )
    driver.run(store.history(), store.curves, store.seconds, store.position)


def table(store: ListStore) -> list[object]:
    """What must be the same: everything that no clock has measured."""
    rows: list[object] = []
    for number, record in sorted(store.records.items()):
        known = (record.params, record.state, record.value, record.epochs, record.rule, record.paused_at)
        kept = record.model_path is not None
        curve = [(r.epoch, r.train_loss, r.val_loss, r.extras["size"]) for r in store.curves[number]]
        rows.append((number, *known, kept, curve))
    return rows


def test_killed_after_any_turn_it_ends_with_the_same_trials_models_and_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", 0.0)
    spec, objectives = specified(), specified().objectives()
    whole = ListStore()
    run(whole, tmp_path / "whole", spec)
    best = [record.number for record in front(objectives, whole.history())]
    assert len(best) > 1, "there is no trade-off to be found"
    assert {bool(objectives.violation(r.best)) for r in whole.history()} == {True, False}
    last = len(whole.turns)
    for life in range(1, last, 4):
        models = tmp_path / str(life)
        killed = Mortal(life=life, at_once=life % 3 == 0)
        with pytest.raises(Killed):
            run(killed, models, spec)
        resumed = Mortal(killed.turns).resumed()
        run(resumed, models, spec)
        assert not any(turn.restarted for turn in resumed.turns), "a clock decided that a trial starts again"
        assert table(resumed) == table(whole), f"killed after turn {life}"
        assert [record.number for record in front(objectives, resumed.history())] == best
