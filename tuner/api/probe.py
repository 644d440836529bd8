"""Probe: how a study's trials train fastest on this machine, found by training a few that nobody keeps.

What a study says itself, and what is stored of one that goes on, is not known here.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job, Resources
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, Trainer
from tuner.core.trial import Reading, Trial
from tuner.errors import TrialError
from tuner.search import OptunaSearcher
from tuner.trainers import epoch_cost, open_batch
from tuner.trainers.device import memory_share

LIMIT_S = 1.5
"""When training has taken that long, no more rows are tried; what is loaded once does not count."""

SHARE_S = 0.3
"""What one candidate may take of it, before it trains fewer of the configurations."""

SAMPLES = (256, 2048)
"""Training rows that are probed with: first so few, then so many where these were quick."""

TRIALS = 8
"""Configurations that each candidate trains, the default one first."""

REPEATS = 3
"""Epochs of each that are timed, of which the quickest counts; one more goes before them."""

TOLERANCE = 1.2
"""Whoever is that near to the fastest, with fewer trials at once, is taken: the sampler learns more."""

WORTH = 1.05
"""More rows are tried as long as they are so many times as fast as fewer ones."""

SHORT_S = 30.0
"""Of studies that will be over sooner only the rows are measured: the rest could not repay its start."""

START_S = 5.0
"""What it takes until worker processes train."""

PROCESSES = 0.75
"""N processes are taken to be so many times N as fast as one: the engine needs its part of the cores."""

CUT_SHORT = 3
"""Trials are taken to train one in so many of their epochs, as stop rules have it."""

LANES = 3
"""Rows for each thread where every row runs on its own: some train while the study thinks about others."""

MOST_ROWS = {"cpu": 64, "cuda": 512}
"""Rows of a population at most, by the kind of device."""

MOST_MEMORY = 0.8
"""Share of a device's free memory that rows may need, as extrapolated from fewer rows."""

FOREVER_EPOCHS = 1e9

_STEP = 4

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class WorkerLayout:
    """How many trials train at once, and where.

    Attributes:
        rows: of each worker's population; 1: one trial at a time.
        workers: processes; 1: this one.
        threads: of each worker.
    """

    rows: int
    workers: int
    threads: int

    def __str__(self) -> str:
        rows = f"{self.rows} rows" if self.rows > 1 else "one trial at a time"
        return f"{rows} x {self.workers} processes" if self.workers > 1 else rows


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found.

    Attributes:
        layout: the one to take.
        told: why, in words that follow on the layout's.
        rates: trial epochs per second of each layout that was measured, on all training rows.
    """

    layout: WorkerLayout
    told: str
    rates: Mapping[WorkerLayout, float]


def fastest(trainer: Trainer, job: Job, cores: int, *, processes: bool = True) -> Probed:
    """Measure candidates on the study's own network and data, and take the fastest.

    Only rows and threads are measured, all in this process: worker processes take seconds to start,
    so what N of them do is computed from what one with its threads does, see `PROCESSES`. What a
    layout costs is the time until the study ends, `START_S` for worker processes included; stop rules
    are taken to leave a trial one in `CUT_SHORT` of its epochs.

    Args:
        trainer: one that can fuse the study's trials.
        job: the study, its data and the device; rows and threads are not looked at.
        cores: what there is to share between workers and threads.
        processes: whether several workers may be taken where the study leaves that open.
    """
    probe = _Probe(trainer, job)
    device = job.resources.device
    spec, kind = job.spec.trainer, device.partition(":")[0]
    several = processes and kind == "cpu" and spec.executor != "inline"
    workers = spec.workers if spec.workers != "auto" else 1
    threads = spec.threads if spec.threads != "auto" else max(1, cores // workers)
    most = min(MOST_ROWS.get(kind, MOST_ROWS["cpu"]), _useful_rows(job.spec) // workers)
    least = max(2, threads) if kind == "cpu" else 8
    if epoch_cost(trainer, replace(job, rows=least, resources=Resources((device,), threads))) is not None:
        # Rows that run on their own gain nothing from company, beyond what keeps the threads busy.
        lanes = LANES * threads if workers == 1 and spec.executor != "processes" else threads
        least = max(least, min(lanes, most))
        most, several = least, False
    told = "an epoch takes too long to measure others"
    try:
        for rows in _series(least, max(least, most)):
            if not probe.measure(WorkerLayout(rows, workers, threads), least):
                break
        if probe.rates and probe.seconds_left(min(probe.rates, key=probe.cost)) > SHORT_S:
            alone = cores if processes and spec.workers == "auto" else workers
            probe.measure(
                WorkerLayout(1, alone, 1 if spec.threads == "auto" else threads), least, always=True
            )
            if several and spec.workers == "auto" and cores > 1:
                each = spec.threads if spec.threads != "auto" else 1
                for rows in _series(2, max(2, most // cores)):
                    if not probe.measure(WorkerLayout(rows, cores, each), least):
                        break
        probe.repeat()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the study itself will say what is wrong
        told = "nothing could be measured"
        _LOG.debug("%s", told, exc_info=error)
    if not probe.rates:
        rows = least if kind != "cpu" else 1
        alone = cores if several and spec.workers == "auto" and rows == 1 else workers
        layout = WorkerLayout(rows, alone, 1 if rows == 1 and spec.threads == "auto" else threads)
        return Probed(layout, told, {})
    return probe.judged()


class _Probe:
    """Measurements of one study's layouts."""

    def __init__(self, trainer: Trainer, job: Job) -> None:
        self.rates: dict[WorkerLayout, float] = {}
        self._trainer = trainer
        self._all = len(job.data.train) if job.data is not None else 1
        # A schedule stretches over the epochs, and none may run out of them.
        epochs = max(job.spec.trainer.epochs, REPEATS + 1)
        trainer_spec = job.spec.trainer.model_copy(update={"epochs": epochs})
        self._job = replace(job, spec=job.spec.model_copy(update={"trainer": trainer_spec}))
        self._trials = _trials(job.spec)
        self._spent_s = 0.0
        self._samples: int | None = None
        self._horizon = _horizon(job.spec)

    def measure(self, layout: WorkerLayout, least: int, *, always: bool = False) -> bool:
        """Measure a layout, always or while there is time; whether more rows are worth trying."""
        if self._samples is None and not self._size(layout):
            return False
        before = max(self.rates.values(), default=0.0)
        # At least two epochs of every row, at the pace of the fastest so far.
        needed = 2 * layout.rows * (self._samples or 1) / (self._all * before) if before else 0.0
        if self._spent_s + needed > LIMIT_S and not always:
            return False
        rate = self._rate(layout.rows, layout.threads, self._samples or 1)
        if rate is None:
            # Out of memory: half of it, once.
            half = layout.rows // 2
            rate = self._rate(half, layout.threads, self._samples or 1) if half >= least else None
            if rate is not None:
                self.rates[replace(layout, rows=half)] = rate * _scale(layout.workers)
            return False
        self.rates[layout] = rate * _scale(layout.workers)
        share = memory_share(self._job.resources.device)
        fits = share is None or share * _STEP <= MOST_MEMORY
        return fits and self.rates[layout] > WORTH * before

    def repeat(self) -> None:
        """Measure all again while there is time: another program may have been in the way of one."""
        if len(self.rates) == 1:
            return
        for layout in tuple(self.rates):
            if self._spent_s < LIMIT_S / 2:
                rate = self._rate(layout.rows, layout.threads, self._samples or 1) or 0.0
                self.rates[layout] = max(self.rates[layout], rate * _scale(layout.workers))

    def cost(self, layout: WorkerLayout) -> float:
        """Seconds until the study ends, or of so many epochs where it never does by itself."""
        epochs = min(self._horizon[0], FOREVER_EPOCHS)
        return epochs / self.rates[layout] + (START_S if layout.workers > 1 else 0.0)

    def seconds_left(self, layout: WorkerLayout) -> float:
        """Seconds that a layout has to train for."""
        epochs, seconds = self._horizon
        return min(seconds, epochs / self.rates[layout])

    def judged(self) -> Probed:
        """The layout to take."""
        costs = {layout: self.cost(layout) for layout in self.rates}
        near = [layout for layout, cost in costs.items() if cost <= TOLERANCE * min(costs.values())]
        chosen = min(near, key=lambda layout: (layout.rows * layout.workers, layout.workers))
        fused = {layout: rate for layout, rate in self.rates.items() if layout.rows > 1}
        alone = next((layout for layout in self.rates if layout.rows == 1), None)
        if chosen.rows == 1:
            best = max(fused, key=lambda layout: fused[layout])
            told = f"measured {_times(self.rates[chosen] / fused[best])} the speed of {best}"
        elif alone is not None:
            told = f"measured {_times(self.rates[chosen] / self.rates[alone])} one at a time"
        else:
            told = f"measured {self.rates[chosen]:,.0f} epochs a second"
            others = [f"{rate:,.0f} with {at}" for at, rate in self.rates.items() if at != chosen]
            told += f"; {', '.join(others)}" if others else ""
        return Probed(chosen, told, dict(self.rates))

    def _size(self, layout: WorkerLayout) -> bool:
        """How many samples to probe with; False where even few of them take too long."""
        few, many = (min(self._all, count) for count in SAMPLES)
        population = open_batch(self._trainer, self._on(few, layout.rows, layout.threads))
        population.place(0, self._trials[0])
        population.advance()  # what is loaded or compiled once does not count
        began = time.perf_counter()
        population.advance()
        passed = time.perf_counter() - began
        if passed > LIMIT_S:
            return False
        self._samples = many if passed * TRIALS * (REPEATS + 1) * many / few <= SHARE_S else few
        return True

    def _rate(self, rows: int, threads: int, samples: int) -> float | None:
        """Trial epochs per second on all training rows; None where memory was short."""
        population = open_batch(self._trainer, self._on(samples, rows, threads))
        if rows == 1:
            # The first one loads what all others use.
            population.place(0, self._trials[0])
            population.clear(0)
        epochs, seconds, began = 0, 0.0, time.perf_counter()
        for start in range(0, max(len(self._trials), rows), rows):
            for row in range(rows):
                trial = self._trials[(start + row) % len(self._trials)]
                population.place(row, replace(trial, number=start + row))
            outcomes = population.advance()
            if any(isinstance(o, Failure) and "out of memory" in o.error for o in outcomes.values()):
                return None
            quickest = math.inf
            for _ in range(REPEATS):
                before = time.perf_counter()
                outcomes = population.advance()
                quickest = min(quickest, time.perf_counter() - before)
                if before - began > SHARE_S:
                    break
            epochs += sum(isinstance(outcome, Reading) for outcome in outcomes.values())
            seconds += quickest
            for row in range(rows):
                population.clear(row)
            if time.perf_counter() - began > SHARE_S:
                # The others train the same ones, so that rates can be compared.
                self._trials = self._trials[: start + rows]
                break
        self._spent_s += time.perf_counter() - began
        if not epochs:
            raise TrialError("no configuration trains")
        return epochs / seconds * samples / self._all

    def _on(self, samples: int, rows: int, threads: int) -> Job:
        data = self._job.data
        part = _some(data, samples) if data is not None else None
        return replace(
            self._job, data=part, rows=rows, resources=Resources((self._job.resources.device,), threads)
        )


def _trials(spec: StudySpec) -> list[Trial]:
    """The default configuration and random ones, under seeds that the study has no use for.

    No presets: they have one shape and one batch size, and so fuse better than what is searched.
    """
    seed = derive(spec.search.seed, -1, "probe")
    random = spec.search.model_copy(update={"sampler": "random", "seed": seed, "presets": False})
    space = spec.search_space()
    chosen = OptunaSearcher(space, random, spec.goal()).ask(TRIALS)
    return [replace(trial, params=space.given(trial.params)) for trial in chosen]


def _some(data: Dataset, samples: int) -> Dataset:
    """As many training rows, and their share of the others."""

    def part(split: Split) -> Split:
        count = max(1, len(split) * samples // len(data.train))
        return Split(split.x[:count], split.y[:count])

    few = replace(data, train=part(data.train), validation=part(data.validation), resampling=None)
    return few if data.resampling is None else replace(few, resampling=_Again(few))


@dataclass(frozen=True, slots=True)
class _Again:
    """Resampling that gives the same few rows each time: training on others would take as long."""

    data: Dataset

    def draw(self, seed: int) -> Dataset:  # noqa: ARG002
        return self.data

    def folds(self, count: int) -> tuple[Dataset, ...]:
        return (self.data,) * count


def _series(least: int, most: int) -> Iterator[int]:
    rows = least
    while rows <= most:
        yield rows
        rows *= _STEP


def _useful_rows(spec: StudySpec) -> int:
    """Trials that may train at once: with more the sampler would know too little of what it is told."""
    trials = spec.budget.trials
    return trials // 4 if trials is not None else max(MOST_ROWS.values())


def _horizon(spec: StudySpec) -> tuple[float, float]:
    """How many epochs and how many seconds the study has at most."""
    budget = spec.budget
    trials = math.inf if budget.trials is None else budget.trials * spec.trainer.epochs / CUT_SHORT
    return min(trials, budget.epochs or math.inf), budget.seconds or math.inf


def _scale(workers: int) -> float:
    return workers * PROCESSES if workers > 1 else 1.0


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
