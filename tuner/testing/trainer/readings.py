"""What every trainer must report: which rows, which epochs, and the same numbers whatever is beside.

Of the data of its job it reads these and no others, and leaves them as they were.
"""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch

from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome
from tuner.core.trial import Reading
from tuner.testing.trainer.comparing import as_reading, same
from tuner.testing.trainer.suite import TrainerSuite


class ReadingContract(TrainerSuite):
    """A trial's readings depend on its configuration and seed, and on nothing else."""

    def test_valid_job_has_no_faults(self) -> None:
        job = self.job()
        assert list(self.trainer().validate(job.spec, job.data)) == []

    def test_batch_starts_empty(self) -> None:
        batch = self.batch()
        assert batch.capacity >= 1
        assert dict(batch.advance()) == {}

    def test_every_occupied_row_answers_and_no_other(self) -> None:
        batch = self.batch()
        rows = range(batch.capacity)
        for row in rows:
            batch.place(row, self.trial(row))
        assert sorted(batch.advance()) == list(rows)
        batch.clear(0)
        assert sorted(batch.advance()) == list(rows)[1:]

    def test_epochs_are_counted_from_one_and_losses_are_finite(self) -> None:
        curve = self.curve(self.batch(), self.trial(0))
        assert [reading.epoch for reading in curve] == list(range(1, len(curve) + 1))
        assert all(math.isfinite(r.train_loss) and math.isfinite(r.val_loss) for r in curve)
        assert all(reading.seconds >= 0 for reading in curve)

    def test_objective_is_measured(self) -> None:
        objective = self.job().spec.primary_objective()
        assert objective.best(self.curve(self.batch(), self.trial(0))) is not None

    def test_same_trial_gives_the_same_readings_in_a_fresh_population(self) -> None:
        trial = self.trial(3)
        assert same(self.curve(self.batch(), trial), self.curve(self.batch(), trial))

    def test_configuration_matters(self) -> None:
        batch = self.batch()
        assert not same(self.curve(batch, self.trial(0)), self.curve(batch, self.trial(1)))

    def test_readings_do_not_depend_on_trials_before_or_on_the_row(self) -> None:
        trial = self.trial(3)
        alone = self.curve(self.batch(), trial)
        batch = self.batch()
        last = batch.capacity - 1
        batch.place(last, self.trial(1))
        batch.advance()
        batch.clear(last)
        assert same(self.curve(batch, trial, last), alone)

    def test_readings_do_not_depend_on_neighbours(self) -> None:
        trial = self.trial(3)
        alone = self.curve(self.batch(), trial)
        batch = self.batch(dataclasses.replace(self.job(), rows=3))
        last = batch.capacity - 1
        for row in range(last):
            batch.place(row, self.trial(row))
        assert same(self.curve(batch, trial, last), alone)

    def test_readings_do_not_depend_on_the_global_random_generators(self) -> None:
        trial = self.trial(3)
        quiet = self.curve(self.batch(), trial)
        batch = self.batch()
        _disturb(1)
        batch.place(0, trial)
        _disturb(2)
        curve = []
        for seed, _ in enumerate(quiet):
            curve.append(as_reading(batch.advance()[0]))
            _disturb(seed)
        assert same(curve, quiet)

    def test_cleared_row_starts_its_next_trial_at_epoch_one(self) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        batch.advance()
        batch.clear(0)
        batch.place(0, self.trial(1))
        assert as_reading(batch.advance()[0]).epoch == 1

    def test_trial_that_raises_is_a_value_and_the_batch_goes_on(self) -> None:
        broken = self.broken_params()
        if broken is None:
            pytest.skip("no configuration raises")
        batch = self.batch(dataclasses.replace(self.job(), rows=2))
        last = batch.capacity - 1
        if last:
            batch.place(0, self.trial(0))
        batch.place(last, self.trial(1, broken))
        outcome: Outcome = Exhausted()
        for _ in range(self.job().spec.trainer.epochs):
            outcomes = batch.advance()
            outcome = outcomes[last]
            if isinstance(outcome, Failure):
                break
            if last:
                assert isinstance(outcomes[0], Reading)
        assert isinstance(outcome, Failure)
        assert outcome.error.strip()
        assert "\n" not in outcome.error
        assert outcome.traceback.strip()
        assert batch.snapshot(last) is None
        batch.clear(last)
        assert same(self.curve(batch, self.trial(2), last), self.curve(self.batch(), self.trial(2)))

    def test_divergence_is_a_value(self) -> None:
        diverging = self.diverging_params()
        if diverging is None:
            pytest.skip("no configuration diverges")
        curve = self.curve(self.batch(), self.trial(0, diverging))
        assert not all(math.isfinite(r.train_loss) and math.isfinite(r.val_loss) for r in curve)

    def test_only_the_rows_that_are_named_are_trained(self) -> None:
        batch = self.batch(dataclasses.replace(self.job(), rows=3))
        last = batch.capacity - 1
        for row in range(last + 1):
            batch.place(row, self.trial(row))
        assert dict(batch.advance(rows=[])) == {}
        first = batch.advance(rows=[last])
        assert list(first) == [last]
        assert as_reading(first[last]).epoch == 1
        alone = self.curve(self.batch(), self.trial(last))
        assert same([as_reading(first[last])], alone[:1])
        if last:
            batch.clear(last)
            assert sorted(batch.advance(rows={0, last})) == [0]

    def test_rows_that_are_not_named_stay_as_they_are(self) -> None:
        batch = self.batch(dataclasses.replace(self.job(), rows=2))
        if batch.capacity < 2:
            pytest.skip("this batch has one row")
        for row in (0, 1):
            batch.place(row, self.trial(row))
        batch.advance(rows=[1])
        alone = self.curve(self.batch(), self.trial(0))
        assert same(self.train(batch, 0), alone)

    def test_data_is_left_as_it_was(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        arrays = [part for split in (job.data.train, job.data.validation) for part in (split.x, split.y)]
        before = [array.tobytes() for array in arrays]
        self.curve(self.batch(job), self.trial(0))
        assert [array.tobytes() for array in arrays] == before

    def test_validation_split_is_only_measured(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        other = dataclasses.replace(job, data=self.judged_otherwise(job.data))
        trial = self.trial(0)
        one, two = self.curve(self.batch(job), trial), self.curve(self.batch(other), trial)
        assert [r.train_loss for r in one] == [r.train_loss for r in two]
        assert [r.val_loss for r in one] != [r.val_loss for r in two]

    def test_nothing_but_the_given_data_is_read(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        table = job.spec.to_table()
        gone = {**table.get("data", {}), "source": "gone.csv", "target": "y"}
        nowhere = StudySpec.parse({**table, "data": gone})
        trial = self.trial(0)
        there = self.curve(self.batch(dataclasses.replace(job, spec=nowhere)), trial)
        assert same(there, self.curve(self.batch(job), trial))


def _disturb(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
