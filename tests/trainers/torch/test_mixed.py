"""Rows of one study, some of which are compiled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainers.torch.plain import images
from tests.trainers.torch.test_stacked import BASE, train
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer, TrialBatch
from tuner.core.trial import Params, Trial
from tuner.testing.trainer import TrainerContract, blobs, same
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.compilable import why_none_fused, why_not_compiled, why_not_fused
from tuner.trainers.torch.fused import FusedBatch, FusedTrial
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.stacked_row import StackedRow

SHIFT = {"image_shift": {"type": "int", "low": 0, "high": 2, "default": 0}}


def spec(space: dict[str, Any] = SHIFT, **trainer: Any) -> StudySpec:
    return StudySpec.parse({"trainer": {"model": "mlp", "epochs": 3, **trainer}, "space": space})


class TestMixedRows(TrainerContract):
    def trainer(self) -> Trainer:
        return TorchTrainer()

    def job(self) -> Job:
        return Job(spec(), images(), rows=3)

    def params(self, number: int) -> Params:
        shift = {"image_shift": number % 2, "dropout": 0.1}
        return {**BASE, **shift, "learning_rate": 0.003 * (number + 1), "batch_size": 8 * (number + 1)}

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 1e30}

    def broken_params(self) -> Params:
        return {"activation": "no such activation"}

    def test_this_is_the_batch_in_question(self) -> None:
        assert isinstance(self.batch(), FusedBatch)


@pytest.mark.parametrize("shift", [0, 1])
def test_each_trial_is_that_of_the_batch_it_belongs_to(shift: int) -> None:
    job, trial = Job(spec(), images(), rows=4), Trial(3, {**BASE, "image_shift": shift}, 0)
    own: TrialBatch = StackedBatch(job) if shift else FusedBatch(job)
    mixed = FusedBatch(job)
    for row in range(3):
        mixed.place(row, Trial(row, {**BASE, "image_shift": row % 2}, 0))
    assert [type(mixed._rows[row]) for row in range(3)] == [FusedTrial, StackedRow, FusedTrial]
    assert same(train(mixed, trial, 3), train(own, trial))


def test_snapshot_of_other_rows_goes_on_there() -> None:
    job, trial = Job(spec(), images(), rows=4), Trial(3, BASE, 0)
    stack, mixed = StackedBatch(job), FusedBatch(job)
    stack.place(0, trial)
    stack.advance()
    mixed.place(2, trial, stack.snapshot(0))
    assert same([mixed.advance()[2]], [stack.advance()[0]])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("data", "space", "params", "told"),
    [
        (images(), SHIFT, {"image_shift": 1}, "image_shift is not compiled for image inputs"),
        (
            blobs(),
            {"mixup": {"type": "float", "low": 0, "high": 1, "default": 0}, "fixed": {"accumulation": 2}},
            {"mixup": 0.1, "accumulation": 2},
            "accumulation of mixed batches",
        ),
    ],
    ids=["shift", "accumulation"],
)
def test_only_the_trials_that_have_it_leave_the_compiled_rows(
    data: Dataset, space: dict[str, Any], params: Params, told: str
) -> None:
    study = spec(space)
    assert told.split()[0] in str(why_not_fused(study, data, "cpu"))
    assert why_none_fused(study, data, "cpu") is None
    assert TorchTrainer().why_unfused(study, data, "cpu") is None
    assert TorchTrainer().epoch_cost(Job(study, data, rows=4)) is None
    assert told in str(why_not_compiled(Trial(0, params, 0), data))
    assert why_not_compiled(Trial(0, BASE, 0), data) is None


def test_what_all_trials_have_leaves_none_compiled() -> None:
    study = spec({**SHIFT, "fixed": {"image_flip": True}})
    assert "image_flip" in str(why_none_fused(study, images(), "cpu"))
    assert "cnn" in str(why_none_fused(spec(model="cnn"), images(), "cpu"))
    assert isinstance(TorchTrainer().open_batch(Job(study, images(), rows=2)), StackedBatch)


def test_occupied_row_is_refused() -> None:
    batch = FusedBatch(Job(spec(), images(), rows=2))
    batch.place(0, Trial(0, BASE, 0))
    for row in (0, 2):
        with pytest.raises(ValueError, match="not an empty row"):
            batch.place(row, Trial(1, {**BASE, "image_shift": 1}, 0))
