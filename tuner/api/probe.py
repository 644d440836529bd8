"""How many of a study's trials train at once, which and where: rules, and a measurement of stacked rows.

Called once, before a study's workers start; what is trained here is not kept. Compiled rows share the
threads of this process. Other networks train in a process per core, unless the study is over sooner; how many
of their trials are stacked is measured with one worker's threads, in this process.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job, Resources
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, StackingTrainer, Trainer, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.core.words import count
from tuner.search import OptunaSearcher
from tuner.trainers import epoch_cost, open_batch

LIMIT_S = 3.0
"""How long it is measured at most."""

PART = 10
"""Nor for more than this part of a study."""

WHOLE = 4
"""A trial with all its epochs takes at most this part of a study's seconds, if by fewer rows: these end an
epoch together, and the best trial has to train beside all others."""

TRIALS, SAMPLES, NUMBERS = 8, 256, 2**19
"""How many configurations are trained, on how many rows of the data, and of how many numbers at most."""

EPOCHS = 3
"""So many of a group of trials, of which the quickest counts."""

WORTH = 1.2
"""More trials at once must be so many times as fast: with fewer, the sampler learns more."""

SHORT_S = 30.0
"""Studies that are over sooner do not repay the start of worker processes."""

DRAWN, BESIDE, FEW = 32, 4, 128
"""Of so many configurations the steps' work is told; so many copies of one are set beside it alone, on so
many rows of the data."""

SMALL_S, LARGE_S = 0.1, 0.5
"""How long an epoch of these copies takes that certainly gain, and that certainly do not: mostly arithmetic,
which rows do not save. What lies between is measured alone, too."""

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
        most_work: see `Job.most_work`.
        world_size: processes that train a trial together, in each worker.
    """

    rows: int
    workers: int
    threads: int
    most_work: float = math.inf
    world_size: int = 1


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
    is_open = is_open and (budget.seconds or math.inf) > SHORT_S
    # With more rows than a quarter of the trials the sampler would know too little of what it is told.
    most = min(MOST_ROWS.get(kind, MOST_ROWS["cpu"]), (budget.trials or 512) // 4)
    here = WorkerLayout(1, workers, threads)
    if epoch_cost(trainer, _with(job, threads, 2)) is not None:
        lanes = LANES * threads if workers == 1 and spec.executor != "processes" else threads
        return replace(here, rows=max(2, threads, min(lanes, most // workers))), None
    one = WorkerLayout(1, cores, 1 if spec.threads == "auto" else threads) if is_open else here
    # Stop rules leave about a third of the epochs.
    planned = min((budget.trials or math.inf) * spec.epochs / 3, budget.epochs or math.inf)
    wait_s = math.inf if budget.seconds is None else budget.seconds / PART
    rates, least, is_long = {1: 0.0}, 2 if kind == "cpu" else 8, True
    try:
        probe, rows = _Probe(trainer, job, one.threads, min(LIMIT_S, wait_s)), least
        pays = kind != "cpu" or probe.find_most_work()
        if not pays:
            rates[1] = probe.rate(1)
        while pays and rows <= max(least, most // one.workers) and probe.left_s > 0:
            before, rates[rows] = max(rates.values()), probe.rate(rows)
            if rates[rows] <= WORTH * before:
                break
            probe.limit_s = min(probe.limit_s, planned / rates[rows] / PART)
            rows *= 4
        if best := max(rates.values()):
            is_long = min(budget.seconds or math.inf, planned / best) > SHORT_S
        most_s = math.inf if budget.seconds is None else budget.seconds / WHOLE
        soon = {rows: rate for rows, rate in rates.items() if rate and spec.epochs * rows <= rate * most_s}
        if best and pays and (is_long or not soon) and probe.left_s > 0:
            rates[1] = probe.rate(1)
        rates = {1: rates[1], **soon} if best else rates
    except Exception as error:
        logging.getLogger(__name__).debug("nothing could be measured", exc_info=error)
    if not (best := max(rates.values())):
        return one if kind == "cpu" else replace(here, rows=least), "not measured"
    rows = min(rows for rows, rate in rates.items() if rate * WORTH >= best)
    told = [f"measured {rates.pop(rows):,.0f} epochs a second{' per worker' if is_open and is_long else ''}"]
    told += [f"{rate:,.0f} with {count(other, 'row')}" for other, rate in rates.items() if rate]
    work = probe.job.most_work if rows > 1 else math.inf
    if work < math.inf:
        told.append(f"trials of more than {work / 2e6:,.3g} million multiplications a step one at a time")
    layout = one if is_long or rows == 1 else here
    return replace(layout, rows=rows, most_work=work), ", ".join(told)


def compile_kernels(trainer: Trainer, job: Job) -> None:
    """Train a trial on a few rows of the data, so that no kernel is compiled in a study's seconds."""
    try:
        _warmed(trainer, _with(_on_few(job, FEW)[0], job.resources.threads, 2))
    except Exception as error:
        logging.getLogger(__name__).debug("nothing could be compiled", exc_info=error)


class _Probe:
    """Trains a few of a study's trials on a few of its rows, in this process.

    Attributes:
        job: what is trained; with the largest work that pays, once it was found.
        limit_s: how long all measurements may take; what is loaded or compiled once does not count.
    """

    def __init__(self, trainer: Trainer, job: Job, threads: int, limit_s: float) -> None:
        self.limit_s, self._trainer, self._whole = limit_s, trainer, job
        self._trials, self._is_first = first_trials(job.spec, TRIALS), True
        # A schedule stretches over the epochs, and none may run out of them.
        longer = job.spec.trainer.model_copy(update={"epochs": max(job.spec.trainer.epochs, EPOCHS)})
        spec = job.spec.model_copy(update={"trainer": longer})
        self.job, self._share = _on_few(_with(replace(job, spec=spec), threads, 1), SAMPLES)
        self._few = _on_few(self.job, FEW)[0]
        self._batch = _warmed(trainer, replace(self._few, rows=BESIDE))
        self._began = time.perf_counter()

    @property
    def left_s(self) -> float:
        """How much longer may be measured."""
        return self.limit_s - (time.perf_counter() - self._began)

    def find_most_work(self) -> bool:
        """Find out which trials gain from others like them; returns whether any does, as far as is known."""
        if not isinstance(self._trainer, StackingTrainer):
            return True
        sizes: dict[float, Trial] = {}
        for trial in first_trials(self.job.spec, DRAWN):
            with suppress(Exception):  # a trial that cannot be built is no measure
                sizes[self._trainer.step_work(self._whole, trial)] = trial
            if self.left_s < 0.75 * self.limit_s:
                break
        works = sorted(sizes)
        # The largest that is known to pay, and the smallest that does not.
        below, least = 0 if 0.0 in sizes else -1, len(works)
        while least - below > 1 and self.left_s > self.limit_s / 2:
            at = (below + least) // 2
            if self._pays(sizes[works[at]]):
                below = at
            else:
                least = at
        if 0 <= below < len(works) - 1:
            self.job = replace(self.job, most_work=works[below])
        return below >= 0 or not works

    def _pays(self, trial: Trial) -> bool:
        """Whether a trial trains more quickly beside others like it."""
        beside_s, _ = self._quickest(self._batch, [trial] * BESIDE, enough_s=SMALL_S)
        if beside_s >= LARGE_S or beside_s <= SMALL_S:
            return beside_s <= SMALL_S
        alone_s, _ = self._quickest(open_batch(self._trainer, self._few), [trial])
        return beside_s < BESIDE * alone_s

    def rate(self, rows: int) -> float:
        """Trial epochs per second, as if on all rows of the data; 0 where memory or time is too short.

        The first call says of how many trials, so that the others can be compared with it.
        """
        epochs, seconds, trials = 0, 0.0, self._trials
        batch = open_batch(self._trainer, replace(self.job, rows=rows))
        enough_s = self.left_s - self.limit_s / 4
        for start in range(0, max(len(trials), rows), rows):
            group = [trials[at % len(trials)] for at in range(start, start + rows)]
            took_s, trained = self._quickest(batch, group)
            epochs, seconds = epochs + trained, seconds + took_s
            if (self._is_first and self.left_s < enough_s) or math.isinf(took_s):
                self._trials = trials[: start + rows]
                break
        self._is_first = False
        return epochs / seconds * self._share

    def _quickest(
        self, batch: TrialBatch, trials: Sequence[Trial], enough_s: float = 0.0
    ) -> tuple[float, int]:
        """Seconds of an epoch of trials, inf where memory or time is too short; and its readings."""
        for row, trial in enumerate(trials):
            batch.place(row, replace(trial, number=row))
        best_s = math.inf
        for _ in range(EPOCHS):
            before = time.perf_counter()
            outcomes = batch.advance()
            took_s = time.perf_counter() - before
            short = any(isinstance(o, Failure) and "out of memory" in o.error for o in outcomes.values())
            if short or took_s > self.limit_s:
                best_s = math.inf
                break
            best_s = min(best_s, took_s)
            if best_s <= enough_s or best_s > self.left_s / 4:
                break
        for row in range(len(trials)):
            batch.clear(row)
        return best_s, sum(isinstance(outcome, Reading) for outcome in outcomes.values())


def _warmed(trainer: Trainer, job: Job) -> TrialBatch:
    """Empty rows, after an epoch of the default configuration: what it needs is loaded and compiled."""
    batch = open_batch(trainer, job)
    batch.place(0, first_trials(job.spec, 1)[0])
    batch.advance()
    batch.clear(0)
    return batch


def _with(job: Job, threads: int, rows: int) -> Job:
    return replace(job, rows=rows, resources=Resources((job.resources.device,), threads))


def first_trials(spec: StudySpec, number: int) -> list[Trial]:
    """The default configuration and random ones, under seeds that the study does not use.

    No presets: they have one shape and one batch size, and so fuse better than what is searched.
    """
    seed = derive(spec.search.seed, -1, "probe")
    random = spec.search.model_copy(update={"sampler": "random", "seed": seed, "presets": False})
    space = spec.search_space()
    chosen = OptunaSearcher(space, random, spec.primary_objective()).ask(number)
    return [replace(trial, params=space.given(trial.params)) for trial in chosen]


def _on_few(job: Job, samples: int) -> tuple[Job, float]:
    """The job on so many training rows at most, and their share of all."""
    if job.data is None:
        return job, 1.0
    samples = max(8, min(samples, NUMBERS * samples // SAMPLES // math.prod(job.data.input_shape)))
    if len(job.data.train) <= samples:
        return job, 1.0
    return replace(job, data=_some(job.data, samples)), samples / len(job.data.train)


def _some(data: Dataset, samples: int) -> Dataset:
    """As many training rows, and their share of the others."""

    def part(split: Split) -> Split:
        count = max(1, len(split) * samples // len(data.train))
        return Split(
            split.x[:count], split.y[:count], codes=None if split.codes is None else split.codes[:count]
        )

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
