"""How many of a study's trials train at once, and where: rules, and a short measurement of stacked rows.

Called once, before a study's workers start; what is trained here is not kept. Compiled rows share the
threads of this process. Other networks train in a process per core, unless the study is over sooner; how many
of their trials are stacked is measured with one worker's threads, in this process.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace

from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job, Resources
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, Trainer
from tuner.core.trial import Reading, Trial
from tuner.core.words import count
from tuner.search import OptunaSearcher
from tuner.trainers import epoch_cost, open_batch

LIMIT_S = 1.5
"""No further number of rows is tried when training has taken so long."""

TRIALS, SAMPLES = 8, 256
"""How many configurations are trained, and on how many rows of the data."""

WORTH = 1.2
"""More trials at once must be so many times as fast: with fewer, the sampler learns more."""

SHORT_S = 30.0
"""Studies that are over sooner do not repay the start of worker processes."""

LANES = 3
"""Compiled rows for each thread: some train while the study decides about others."""

MOST_ROWS = {"cpu": 64, "cuda": 512}


@dataclass(frozen=True, slots=True, order=True)
class WorkerLayout:
    """How many trials train at once, and where.

    Attributes:
        rows: that each worker trains at once; 1: one trial at a time.
        workers: processes; 1: this one.
        threads: of each worker.
    """

    rows: int
    workers: int
    threads: int


def fastest(
    trainer: Trainer, job: Job, cores: int, *, processes: bool = True
) -> tuple[WorkerLayout, str | None]:
    """The layout to train with, and what was measured of it in words.

    Args:
        trainer: one that can fuse the study's trials.
        job: the study, its data and the device; its rows and threads do not matter.
        cores: what there is to share between workers and threads.
        processes: whether several workers may be taken where the study leaves that open.
    """
    spec, budget, kind = job.spec.trainer, job.spec.budget, job.resources.device.partition(":")[0]
    workers = spec.workers if spec.workers != "auto" else 1
    threads = spec.threads if spec.threads != "auto" else max(1, cores // workers)
    is_open = processes and kind == "cpu" and spec.executor != "inline" and spec.workers == "auto"
    # With more rows than a quarter of the trials the sampler would know too little of what it is told.
    most = min(MOST_ROWS.get(kind, MOST_ROWS["cpu"]), (budget.trials or 512) // 4)
    here = WorkerLayout(1, workers, threads)
    if epoch_cost(trainer, _with(job, threads, 2)) is not None:
        lanes = LANES * threads if workers == 1 and spec.executor != "processes" else threads
        return replace(here, rows=max(2, threads, min(lanes, most // workers))), None
    one = WorkerLayout(1, cores, 1 if spec.threads == "auto" else threads) if is_open else here
    # Stop rules leave about a third of the epochs.
    planned = min((budget.trials or math.inf) * spec.epochs / 3, budget.epochs or math.inf)
    rates, least, is_long = {1: 0.0}, 2 if kind == "cpu" else 8, True
    try:
        probe, rows = _Probe(trainer, job, one.threads), least
        while rows <= max(least, most // one.workers) and probe.spent_s < LIMIT_S:
            before, rates[rows] = max(rates.values()), probe.rate(rows)
            if rates[rows] <= WORTH * before:
                break
            rows *= 4
        if best := max(rates.values()):
            is_long = min(budget.seconds or math.inf, planned / best) > SHORT_S
        if best and is_long:
            rates[1] = probe.rate(1)
    except Exception as error:
        logging.getLogger(__name__).debug("nothing could be measured", exc_info=error)
    if not (best := max(rates.values())):
        return one if kind == "cpu" else replace(here, rows=least), "not measured"
    rows = min(rows for rows, rate in rates.items() if rate * WORTH >= best)
    told = [f"measured {rates.pop(rows):,.0f} epochs a second{' per worker' if is_open and is_long else ''}"]
    told += [f"{rate:,.0f} with {count(other, 'row')}" for other, rate in rates.items() if rate]
    return replace(one if is_long else here, rows=rows), ", ".join(told)


class _Probe:
    """Trains a few of a study's trials on a few of its rows, in this process."""

    def __init__(self, trainer: Trainer, job: Job, threads: int) -> None:
        self.spent_s, self._trainer, self._trials, self._share = 0.0, trainer, _trials(job.spec), 1.0
        # A schedule stretches over the epochs, and none may run out of them.
        longer = job.spec.trainer.model_copy(update={"epochs": max(job.spec.trainer.epochs, 3)})
        spec = job.spec.model_copy(update={"trainer": longer})
        self._job = _with(replace(job, spec=spec), threads, 1)
        if job.data is not None and len(job.data.train) > SAMPLES:
            self._share = SAMPLES / len(job.data.train)
            self._job = replace(self._job, data=_some(job.data, SAMPLES))

    def rate(self, rows: int) -> float:
        """Trial epochs per second, as if on all rows of the data; 0 where memory or time is too short."""
        began, epochs, seconds = time.perf_counter(), 0, 0.0
        batch = open_batch(self._trainer, replace(self._job, rows=rows))
        for start in range(0, max(len(self._trials), rows), rows):
            for row in range(rows):
                trial = self._trials[(start + row) % len(self._trials)]
                batch.place(row, replace(trial, number=start + row))
            batch.advance()  # what is loaded or compiled once does not count
            times = []
            for _ in range(2):
                before = time.perf_counter()
                outcomes = batch.advance()
                times.append(time.perf_counter() - before)
                short = any(isinstance(o, Failure) and "out of memory" in o.error for o in outcomes.values())
                if short or times[-1] > LIMIT_S:
                    return 0.0
            epochs += sum(isinstance(outcome, Reading) for outcome in outcomes.values())
            seconds += min(times)
            for row in range(rows):
                batch.clear(row)
            if seconds > LIMIT_S / 10:
                self._trials = self._trials[: start + rows]  # others train the same, to be compared
                break
        self.spent_s += time.perf_counter() - began
        return epochs / seconds * self._share


def _with(job: Job, threads: int, rows: int) -> Job:
    return replace(job, rows=rows, resources=Resources((job.resources.device,), threads))


def _trials(spec: StudySpec) -> list[Trial]:
    """The default configuration and random ones, under seeds that the study does not use.

    No presets: they have one shape and one batch size, and so fuse better than what is searched.
    """
    seed = derive(spec.search.seed, -1, "probe")
    random = spec.search.model_copy(update={"sampler": "random", "seed": seed, "presets": False})
    space = spec.search_space()
    chosen = OptunaSearcher(space, random, spec.primary_objective()).ask(TRIALS)
    return [replace(trial, params=space.given(trial.params)) for trial in chosen]


def _some(data: Dataset, samples: int) -> Dataset:
    """As many training rows, and their share of the others."""

    def part(split: Split) -> Split:
        count = max(1, len(split) * samples // len(data.train))
        return Split(split.x[:count], split.y[:count])

    few = replace(data, train=part(data.train), validation=part(data.validation), resampling=None)
    return few if data.resampling is None else replace(few, resampling=_FixedSplits(few))


@dataclass(frozen=True, slots=True)
class _FixedSplits:
    """Resampling that gives the same few rows each time: training on others would take as long."""

    data: Dataset

    def draw(self, seed: int) -> Dataset:  # noqa: ARG002
        return self.data

    def folds(self, count: int) -> tuple[Dataset, ...]:
        return (self.data,) * count
