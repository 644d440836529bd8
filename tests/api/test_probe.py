"""How rows, workers and threads are chosen; a clock of the tests' own says what an epoch takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tuner.api import probe
from tuner.api import session as sessions
from tuner.api.cores import cores
from tuner.api.layout import layout_of
from tuner.api.planning import plan
from tuner.api.probe import WorkerLayout, fastest
from tuner.api.session import Session
from tuner.artifacts import Artifacts
from tuner.core.dataset import Dataset
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, Outcome, Snapshot, Trainer
from tuner.core.trial import Reading, Trial

CORES = 2

SAMPLES = 1079
"""Training rows of digits, of which an epoch takes what a test says."""


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Rows:
    """A population whose epochs take what it is told, on the tests' clock."""

    job: Job
    clock: Clock
    epoch_s: Callable[[int, int], float]
    holds: int
    own_s: Callable[[Job, Sequence[Trial]], float] | None = None
    placed: dict[int, Trial] = field(default_factory=dict)

    @property
    def capacity(self) -> int:
        return self.job.rows

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        assert row not in self.placed
        self.placed[row] = trial

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        assert self.job.data is not None
        took_s = self.epoch_s(self.job.rows, self.job.resources.threads)
        if self.own_s is not None:
            took_s = self.own_s(self.job, [*self.placed.values()])
        self.clock.now += took_s * len(self.job.data.train) / SAMPLES
        if len(self.placed) > self.holds:
            return dict.fromkeys(self.placed, Failure("out of memory on the GPU", ""))
        return {row: Reading(1, 1.0, 1.0) for row in self.placed}

    def save(self, row: int, folder: Path) -> bool:
        return False

    def snapshot(self, row: int) -> Snapshot | None:
        return None

    def clear(self, row: int) -> None:
        del self.placed[row]


@dataclass
class Timed:
    """A trainer of such populations."""

    clock: Clock
    epoch_s: Callable[[int, int], float]
    holds: int = 10_000
    apart: bool = False
    jobs: list[Job] = field(default_factory=list)

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        return ()

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        return None

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        return (lambda _: 1.0) if self.apart else None

    def open_batch(self, job: Job) -> Rows:
        self.jobs.append(job)
        return Rows(job, self.clock, self.epoch_s, self.holds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=clock))
    return clock


def found(
    trainer: Trainer, trials: int, folds: int | None = None, seconds: float | None = None, **keys: Any
) -> tuple[WorkerLayout, str | None]:
    settings = {f"trainer.{key}": value for key, value in keys.items()} | {"budget.trials": trials}
    more = {"trainer.epochs": 30, "data.folds": folds, "budget.seconds": seconds}
    planned = plan("digits", settings={**more, **settings})
    return fastest(trainer, planned.job(1, Resources()), CORES)


def test_of_numbers_of_rows_that_are_about_as_fast_the_least_is_taken(clock: Clock) -> None:
    layout, told = found(Timed(clock, lambda rows, threads: 0.001 * rows / threads), 300, executor="inline")
    assert layout == WorkerLayout(2, 1, 2)
    assert told == "measured 2,000 epochs a second, 2,000 with 8 rows"


def test_folds_are_measured_on_few_rows_and_an_epoch_of_a_trial_is_one_of_each(clock: Clock) -> None:
    rows = 958  # that a fold trains on
    timed = Timed(clock, lambda rows, threads: 0.001 * rows)
    _, told = found(timed, 300, folds=3)
    assert {len(job.data.train) for job in timed.jobs if job.data is not None} == {probe.FEW, probe.SAMPLES}
    assert f"measured {1000 / 3 * SAMPLES / rows:,.0f} epochs a second" in str(told)


def test_more_rows_are_taken_where_they_cost_nothing_up_to_a_quarter_of_the_trials(clock: Clock) -> None:
    trainer = Timed(clock, lambda rows, threads: 0.01)
    assert [found(trainer, n, executor="inline")[0].rows for n in (300, 40, 4)] == [32, 8, 2]


@pytest.mark.parametrize(
    ("trials", "keys", "rows"),
    [(300, {}, 6), (20, {}, 5), (4, {}, 2), (300, {"workers": 2, "threads": 2}, 2)],
)
def test_compiled_rows_are_three_for_each_thread_in_this_process_without_measuring(
    clock: Clock, trials: int, keys: dict[str, int], rows: int
) -> None:
    trainer = Timed(clock, lambda rows, threads: 0.001 * rows / threads, apart=True)
    assert found(trainer, trials, **keys) == (WorkerLayout(rows, keys.get("workers", 1), 2), None)
    assert trainer.jobs == []


def test_a_long_study_trains_one_at_a_time_where_that_is_faster(clock: Clock) -> None:
    layout, told = found(Timed(clock, lambda rows, threads: 0.02 if rows == 1 else 0.08 * rows), 900)
    assert layout == WorkerLayout(1, CORES, 1)
    assert str(told).startswith("measured 50 epochs a second per worker, 1")


def test_a_long_study_trains_in_a_process_for_each_core_and_a_short_one_in_this_one(clock: Clock) -> None:
    def epoch_s(rows: int, threads: int) -> float:
        return 0.1 if rows == 1 else 0.004 * rows

    assert found(Timed(clock, epoch_s), 6000)[0] == WorkerLayout(2, CORES, 1)
    assert found(Timed(clock, epoch_s), 300)[0] == WorkerLayout(2, 1, 2)
    assert found(Timed(clock, epoch_s), 6000, executor="inline")[0].workers == 1


@dataclass
class Grouped(Timed):
    """Narrow trials take no longer for others beside them; broader ones take twice as long."""

    pays: int = 0

    def step_work(self, job: Job, trial: Trial) -> float:
        return float(trial.params["width"])

    def open_batch(self, job: Job) -> Rows:
        self.jobs.append(job)
        return Rows(job, self.clock, self.epoch_s, self.holds, self._seconds)

    def _seconds(self, job: Job, placed: Sequence[Trial]) -> float:
        beside = [t for t in placed if job.rows > 1 and self.step_work(job, t) <= job.most_work]
        broad = [t for t in beside if int(t.params["width"]) > self.pays]
        return 0.8 * (len(placed) - len(beside) + 2 * len(broad) + (len(beside) > len(broad)))


@pytest.mark.parametrize(("pays", "most"), [(64, math.inf), (32, 32.0)])
def test_those_groups_are_left_alone_that_do_not_gain(clock: Clock, pays: int, most: float) -> None:
    trainer = Grouped(clock, lambda rows, threads: 0.0, pays=pays)
    layout, told = found(trainer, 9000, epochs=300, executor="inline")
    assert layout.rows > 1
    assert layout.most_work == most
    assert ("one at a time" in str(told)) is (most < math.inf)


def test_rows_are_fewer_where_the_epochs_of_one_would_take_most_of_the_study(clock: Clock) -> None:
    def epoch_s(rows: int, threads: int) -> float:
        return 1.0 + 0.1 * rows

    assert found(Timed(clock, epoch_s), 300, seconds=600)[0].rows == 32
    assert found(Timed(clock, epoch_s), 300, seconds=150)[0].rows == 2
    assert found(Timed(clock, epoch_s), 300, seconds=100)[0] == WorkerLayout(1, CORES, 1)
    assert found(Timed(clock, epoch_s), 300, seconds=5)[0] == WorkerLayout(1, 1, CORES)


def test_where_no_group_gains_all_train_one_at_a_time(clock: Clock) -> None:
    layout, told = found(Grouped(clock, lambda rows, threads: 0.0), 9000)
    assert layout == WorkerLayout(1, CORES, 1)
    assert told == "measured 1 epochs a second per worker"


def test_workers_and_threads_that_a_study_names_are_kept(clock: Clock) -> None:
    trainer = Timed(clock, lambda rows, threads: 0.1 if rows == 1 else 0.004 * rows)
    layout, _ = found(trainer, 6000, workers=3, threads=5)
    assert (layout.workers, layout.threads) == (3, 5)
    assert {job.resources.threads for job in trainer.jobs} == {5}


def test_epochs_that_take_too_long_are_not_waited_for(clock: Clock) -> None:
    trainer = Timed(clock, lambda rows, threads: 60.0)
    assert found(trainer, 300) == (WorkerLayout(1, CORES, 1), "not measured")
    assert [job.rows for job in trainer.jobs] == [probe.BESIDE, 2]


@pytest.mark.parametrize("seconds", [5, 10, 20])
def test_a_short_study_is_measured_for_a_tenth_of_its_seconds(clock: Clock, seconds: float) -> None:
    layout, _ = found(Grouped(clock, lambda rows, threads: 0.0, pays=64), 9000, seconds=seconds, epochs=2)
    assert (layout.rows > 1) is (seconds > 5)  # an epoch takes 0.8 s
    assert clock.now < 1.5 * seconds / probe.PART


def test_a_short_study_that_is_not_measured_waits_for_no_worker_processes(clock: Clock) -> None:
    trainer = Timed(clock, lambda rows, threads: 60.0)
    assert found(trainer, 300, seconds=10) == (WorkerLayout(1, 1, CORES), "not measured")


def test_a_study_of_few_trials_is_not_measured_for_longer_than_it_takes(clock: Clock) -> None:
    trainer = Timed(clock, lambda rows, threads: 0.2)
    assert found(trainer, 9000)[0].rows == 32
    trainer.jobs.clear()
    assert found(trainer, 8, epochs=3)[0].rows == 2
    assert [job.rows for job in trainer.jobs] == [probe.BESIDE, 2]


def test_what_is_compiled_in_the_first_epoch_is_no_groups_work(clock: Clock) -> None:
    compiled: list[int] = []

    def epoch_s(rows: int, threads: int) -> float:
        compiled.append(rows)
        return 60.0 if len(compiled) == 1 else 0.1 if rows == 1 else 0.004 * rows

    assert found(Timed(clock, epoch_s), 300, seconds=20)[0].rows == 2


def test_kernels_are_compiled_before_a_study_begins_where_nothing_is_measured(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = Timed(clock, lambda rows, threads: 0.1, apart=True)
    probe.compile_kernels(trainer, plan("digits").job(6, Resources()))
    assert [(job.rows, len(job.data.train)) for job in trainer.jobs if job.data] == [(2, probe.FEW)]
    begun: list[int] = []
    monkeypatch.setattr(sessions, "compile_kernels", lambda _, job: begun.append(job.rows))
    for rows in (1, 3):
        session({}, rows=rows, executor="inline")._executor(Artifacts(tmp_path, "0" * 32, "x", "y")).close()
    assert begun == [3]


def test_rows_of_many_numbers_are_measured_on_fewer_of_them() -> None:
    data = plan("digits").data
    assert data is not None
    wide = replace(data.train, x=np.zeros((1079, 200_000), np.uint8))
    job = Job(plan("digits").spec, replace(data, train=wide, validation=wide))
    assert [len(found.data.train) for found in (probe._on_few(job, 256)[0],) if found.data] == [8]


def test_slow_networks_are_measured_on_few_configurations(clock: Clock) -> None:
    found(Timed(clock, lambda rows, threads: 1.0 * rows), 300)
    assert clock.now < 10 * probe.LIMIT_S


def test_rows_that_do_not_fit_into_memory_are_not_taken(clock: Clock) -> None:
    assert found(Timed(clock, lambda rows, threads: 0.01, holds=20), 300)[0] == WorkerLayout(8, 1, 2)


def test_a_study_whose_trials_all_fail_starts_all_the_same(clock: Clock) -> None:
    assert found(Timed(clock, lambda rows, threads: 0.01, holds=0), 300) == (
        WorkerLayout(1, CORES, 1),
        "not measured",
    )


def test_what_is_measured_is_as_mixed_as_what_is_searched() -> None:
    trials = probe.first_trials(plan("digits").spec, 8)
    assert len({(trial.params["batch_size"], trial.params["width"]) for trial in trials}) > len(trials) / 2


STORED = {"device": "cpu", "rows": 7, "workers": 1, "threads": 1, "measured": "measured 3.0x one at a time"}


def session(stored: Mapping[str, Any], **keys: Any) -> Session:
    settings = {f"trainer.{key}": value for key, value in keys.items()}
    planned = plan("digits", settings={"trainer.device": "cpu", "trainer.epochs": 2, **settings})
    return Session.of(planned, "sqlite:///tuner.db", in_process=False, stored=stored)


def test_a_study_that_goes_on_keeps_what_was_chosen() -> None:
    machine = session({}, rows=2).facts["machine"]
    kept = session({**STORED, "machine": machine})
    assert kept.layout == WorkerLayout(7, 1, 1)
    assert kept.notes[-1] == "trains: 7 rows, measured 3.0x one at a time"
    assert {**kept.facts, **STORED} == kept.facts


def test_which_trials_train_alone_is_kept_and_told_to_the_workers() -> None:
    stored = {**STORED, "machine": session({}, rows=2).facts["machine"], "most_work": 4e6}
    kept = session(stored)
    assert kept.layout == WorkerLayout(7, 1, 1, 4e6)
    assert kept.facts["most_work"] == 4e6
    assert session({**stored, "most_work": None}).layout.most_work == math.inf


def test_another_machine_or_another_wish_is_another_choice() -> None:
    machine = session({}, rows=2).facts["machine"]
    assert session({**STORED, "machine": "elsewhere"}).layout.rows != 7
    assert session({**STORED, "machine": machine}, rows=3).layout.rows == 3
    assert session({**STORED, "machine": machine}, rows=7, workers=2).layout == WorkerLayout(7, 2, 1)


def test_there_is_a_worker_for_each_device_though_rows_are_measured_on_one() -> None:
    layout, _ = layout_of(plan("digits_cnn"), ("cuda:0", "cuda:1"), None, in_process=False, stored={})
    assert layout == WorkerLayout(8, 2, max(1, cores() // 2))
