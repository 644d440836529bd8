"""A study that is killed after any turn and resumed ends as one that was never interrupted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.parts import SEED, CountingSearcher, ListStore, engine
from tuner import callbacks
from tuner.core.dataset import Dataset
from tuner.core.job import Job, Resources
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.training import Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.executors import Inline
from tuner.testing.executor import artifacts, models_in, study

EPOCHS = 9
TRIALS = 14


class Killed(BaseException):
    """The process is gone."""


def mixed(*parts: object) -> float:
    """A number in [0, 1) that depends on everything."""
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


class Sums:
    """A trainer whose loss depends on all that was trained before; with or without snapshots."""

    def __init__(self, *, pauses: bool = True, grouped: bool = False) -> None:
        self._pauses = pauses
        self._grouped = grouped

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        return ()

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        return None

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        return (lambda trial: 1.0 + mixed("effort", trial.number)) if self._grouped else None

    def open_batch(self, job: Job) -> TrialBatch:
        return Rows(job.rows, pauses=self._pauses)


class Rows:
    def __init__(self, capacity: int, *, pauses: bool) -> None:
        self.capacity = capacity
        self.pauses = pauses
        self.rows: dict[int, tuple[Trial, int, float]] = {}

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        epoch, total = (0, 0.0) if snapshot is None else (snapshot.epoch, float(snapshot.arrays["total"]))
        self.rows[row] = (trial, epoch, total)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        for row in list(self.rows) if rows is None else rows:
            trial, epoch, total = self.rows[row]
            total += mixed(trial.number, trial.params["hint"], epoch, total)
            epoch += 1
            self.rows[row] = (trial, epoch, total)
            outcomes[row] = Reading(epoch, total / epoch, total / epoch + 1 / epoch, seconds=epoch)
        return outcomes

    def save(self, row: int, folder: Path) -> bool:
        (folder / "model.txt").write_text(str(self.rows[row]))
        return True

    def snapshot(self, row: int) -> Snapshot | None:
        _, epoch, total = self.rows[row]
        return Snapshot(epoch, {"total": np.asarray(total)}) if self.pauses else None

    def clear(self, row: int) -> None:
        del self.rows[row]


class Inquirer(CountingSearcher):
    """Chooses by everything that it knows of trials: those told and those running."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, Any] = {}
        self.running: set[int] = set()

    def ask(self, count: int) -> Sequence[Trial]:
        hint = mixed(sorted(self.known.items()), sorted(self.running))
        chosen = [
            Trial(trial.number, {"x": trial.number, "hint": hint}, SEED) for trial in super().ask(count)
        ]
        self.running.update(trial.number for trial in chosen)
        return chosen

    def tell(self, records: Sequence[TrialRecord]) -> None:
        for record in records:
            self.known[record.number] = (record.state, record.value, record.epochs, record.conclusive)
            self.running.discard(record.number)

    def replay(self, history: Sequence[TrialRecord]) -> None:
        self.next = len(history)
        over = [r for r in history if r.state.is_over or r.state is TrialState.PAUSED]
        self.running = {record.number for record in history} - {record.number for record in over}
        self.tell(over)


class Mortal(ListStore):
    """A store of a process that is killed when it has recorded so many turns, at once or before the next."""

    def __init__(self, turns: Sequence[Turn] = (), life: int = 10**9, *, at_once: bool = False) -> None:
        super().__init__()
        self.life = life
        self.at_once = at_once
        self.record(*turns)

    def append(self, turn: Turn) -> None:
        if len(self.turns) == self.life:
            raise Killed
        super().append(turn)
        if len(self.turns) == self.life and self.at_once:
            raise Killed


def table(store: ListStore) -> list[object]:
    """What must be the same of two studies."""
    rows: list[object] = []
    for number, record in sorted(store.records.items()):
        curve = [repr(astuple(replace(reading, seconds=0.0))) for reading in store.curves[number]]
        known = (record.params, record.state, record.value, record.epochs, record.conclusive)
        rows.append((number, *known, record.rule, record.reason, record.paused_at, curve))
    return rows


def run(
    store: ListStore, models: Path, spec: StudySpec, *, pauses: bool, close: bool, grouped: bool = False
) -> None:
    class Worker(Inline):
        def close(self, *, at_once: bool = False) -> None:
            # Who is killed writes nothing any more; its threads, which in a test live on, must not either.
            super().close(at_once=at_once or not close)

    threads = 2
    worker = Worker(
        lambda: Sums(pauses=pauses, grouped=grouped),
        Job(spec, None, rows=3, resources=Resources(threads=threads)),
        artifacts(models),
    )
    rules = callbacks.build(spec)
    driver = engine(worker, store, models, searcher=Inquirer(), callbacks=rules, trials=TRIALS, keep=3)
    driver.run(store.history(), store.curves, store.seconds, store.position)


def specified(pruner: str) -> StudySpec:
    spec = study(EPOCHS, search={"pruner": pruner, "startup_trials": 3}, stop={"patience": 4})
    trainer = spec.trainer.model_copy(update={"checkpoint_seconds": 1e-9})
    return spec.model_copy(update={"trainer": trainer})


@pytest.mark.parametrize(
    ("pruner", "grouped", "pauses"),
    [
        *(("asha", grouped, pauses) for grouped in (True, False) for pauses in (True, False)),
        *(("hyperband", both, both) for both in (True, False)),
        *(("median", grouped, not grouped) for grouped in (True, False)),
    ],
)
def test_killed_after_any_turn_a_study_ends_as_if_it_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: str, grouped: bool, pauses: bool
) -> None:
    monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", 0.0)
    go_on_after_every_turn(tmp_path, pruner, grouped=grouped, pauses=pauses)


@pytest.mark.parametrize("grouped", [True, False])
def test_killed_long_after_what_is_recorded_a_study_ends_as_if_it_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", 1e9)
    go_on_after_every_turn(tmp_path, "asha", grouped=grouped, pauses=True)


def test_without_checkpoints_of_what_is_soon_trained_again_it_is_the_same_study_and_ends_as_if_it_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", 0.0)
    kept = ListStore()
    run(kept, tmp_path / "kept", specified("asha"), pauses=True, close=True, grouped=True)
    # Those of the first rungs train for less, the others for more.
    monkeypatch.setattr("tuner.executors.worker.WORTH_S", 7.0)
    whole = go_on_after_every_turn(tmp_path, "asha", grouped=True, pauses=True)
    assert table(whole) == table(kept)
    assert [turn.position for turn in whole.turns] == [turn.position for turn in kept.turns]


def go_on_after_every_turn(tmp_path: Path, pruner: str, *, grouped: bool, pauses: bool) -> ListStore:
    spec = specified(pruner)
    whole = ListStore()
    run(whole, tmp_path / "whole", spec, pauses=pauses, close=True, grouped=grouped)
    assert len(whole.records) == TRIALS
    states = {record.state for record in whole.records.values()}
    assert states <= {TrialState.FINISHED, TrialState.STOPPED}
    last = len(whole.turns)
    for life in range(1, last + 1):
        models = tmp_path / str(life)
        killed = Mortal(life=life, at_once=life % 3 == 0 or life == last)
        with pytest.raises(Killed):
            run(killed, models, spec, pauses=pauses, close=life % 2 == 0, grouped=grouped)
        again = Mortal(whole.turns[:life])
        assert table(again) == table(Mortal(killed.turns))
        resumed = again.resumed()
        if life % 3 == 1 and resumed.history():
            # Killed again as soon as it has said which trials go on.
            brief = again.resumed(Mortal(life=1, at_once=True))
            with pytest.raises(Killed):
                run(brief, models, spec, pauses=pauses, close=False, grouped=grouped)
            resumed = brief.resumed()
        run(resumed, models, spec, pauses=pauses, close=True, grouped=grouped)
        assert table(resumed) == table(whole), f"killed after turn {life}"
        kept = models_in(models) - {"checkpoints"}
        named = {str(n) for n, record in resumed.records.items() if record.model_path is not None}
        assert kept == named
        assert not list((models / "checkpoints").glob("*")), "a checkpoint of a trial that is over stays"
    return whole


def test_a_pausing_study_pauses_and_promotes(tmp_path: Path) -> None:
    store = ListStore()
    run(store, tmp_path, specified("asha"), pauses=True, close=True)
    paused = {record.number for turn in store.turns for record in turn.paused}
    starts = Counter(trial.number for turn in store.turns for trial in turn.started)
    promoted = {number for number in paused if starts[number] > 1}
    assert len(paused) > len(promoted) > 0
    assert any(record.epochs == EPOCHS for record in store.records.values() if record.number)
