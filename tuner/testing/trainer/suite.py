"""The trainer under test, what it is given, and how its trials are trained."""

from __future__ import annotations

import dataclasses

import numpy as np

from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job
from tuner.core.training import Exhausted, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.testing.trainer.comparing import as_reading
from tuner.trainers import open_batch


class TrainerSuite:
    """What the suites of trainers share.

    Attributes:
        predicts: whether a saved model can predict by itself, from what lies in its folder.
    """

    predicts = True

    def trainer(self) -> Trainer:
        """A new trainer."""
        raise NotImplementedError

    def job(self) -> Job:
        """A job with at least two epochs; `rows` may be any number."""
        raise NotImplementedError

    def params(self, number: int) -> Params:
        """Configurations that train well; those of two numbers differ."""
        raise NotImplementedError

    def broken_params(self) -> Params | None:
        """A configuration whose trial raises; None where there is none."""
        return None

    def diverging_params(self) -> Params | None:
        """A configuration whose losses become `nan` or `inf`; None where there is none."""
        return None

    def judged_otherwise(self, data: Dataset) -> Dataset:
        """The same data with another validation split."""
        x = data.validation.x
        # Of tokens there are so many and no more.
        is_of_tokens = any(part.vocabulary for part in data.inputs)
        other = np.roll(x, 1, axis=0) if is_of_tokens else x * 2 + 1
        validation = Split(other, np.roll(data.validation.y, 2))
        return dataclasses.replace(data, validation=validation)

    def batch(self, job: Job | None = None) -> TrialBatch:
        """A fresh, empty batch."""
        return open_batch(self.trainer(), job or self.job())

    def trial(self, number: int, params: Params | None = None) -> Trial:
        """A trial under its number."""
        params = self.params(number) if params is None else params
        return Trial(number, params, self.job().spec.search.seed)

    def curve(self, batch: TrialBatch, trial: Trial, row: int = 0) -> list[Reading]:
        """Train one trial to its end, whatever its neighbours do, and clear its row."""
        batch.place(row, trial)
        curve = self.train(batch, row)
        batch.clear(row)
        return curve

    def train(self, batch: TrialBatch, row: int = 0) -> list[Reading]:
        """Train the trial of a row to its end, and leave it there."""
        curve: list[Reading] = []
        while len(curve) < self.job().spec.trainer.epochs:
            outcome = batch.advance()[row]
            if isinstance(outcome, Exhausted):
                break
            curve.append(as_reading(outcome))
        assert curve, "a trial needs at least one reading"
        return curve
