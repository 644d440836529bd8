"""What every trainer may do with the data of its job: read them, and no other."""

from __future__ import annotations

import dataclasses

import pytest

from tuner.core.spec import StudySpec
from tuner.testing.trainer.comparing import same
from tuner.testing.trainer.suite import TrainerSuite


class DataContract(TrainerSuite):
    """Data are left as they were, and the validation split is only measured."""

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
