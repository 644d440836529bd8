"""TrainingTensors: a study's arrays as tensors on a device, scaled once for each kind of scaling.

Shared by all trials of a batch; never written to after it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.data import Scaling
from tuner.errors import DataError, DeviceError
from tuner.trainers.device import device_fault
from tuner.trainers.scores import Score
from tuner.trainers.torch import losses
from tuner.trainers.torch.byte_images import ByteImages
from tuner.trainers.torch.losses import Loss
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.teacher import Teacher, teacher_of
from tuner.trainers.torch.training_arrays import ScaledInputs, TrainingArrays, Truth

Inputs = Tensor | ByteImages
"""Scaled inputs on the device; images of bytes are scaled when rows of them are taken."""


InputTensors = ScaledInputs[Inputs]


@dataclass(frozen=True, slots=True)
class TargetTensors(Truth):
    """A truth with its targets as the loss takes them, on the device."""

    targets: Tensor


def tensors_of(job: Job, data: Dataset | None) -> TrainingTensors:
    """Move a split of a job's data to the job's device.

    Raises:
        DataError: the study has no data.
        DeviceError: the device is not there.
    """
    if data is None:
        raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
    device = job.resources.device
    if fault := device_fault(device):
        raise DeviceError(f"device: {fault}")
    arrays = TrainingArrays(data, job.spec.search.seed, job.spec.trainer.class_weight)
    return TrainingTensors(arrays, losses.of(job.spec, data), torch.device(device), teacher_of(job.spec))


class TrainingTensors:
    """Targets and inputs.

    Attributes:
        data: where they come from.
        loss: what the targets are prepared for.
        device: where the tensors are.
        train: targets of the training split.
        sample: truth of the sample; no more rows than the validation split, the same ones for
            every trial of the study.
        validation: truth of the validation split.
        teacher: what trials begin with and learn from; None: nothing.
    """

    def __init__(
        self, arrays: TrainingArrays, loss: Loss, device: torch.device, teacher: Teacher | None = None
    ) -> None:
        self._arrays, self.data, self.loss = arrays, arrays.data, loss
        self.device, self.teacher = device, teacher
        self._rows = torch.from_numpy(arrays.rows).to(device)
        train, validation = self.data.train.y, self.data.validation.y
        self.train = loss.targets(self._placed(train))
        self.sample = self._targets(arrays.sample, train[arrays.rows])
        self.validation = self._targets(arrays.validation, validation)
        self._inputs: dict[str, InputTensors] = {}
        self._embedded: TrainingTensors | None = None

    def suited(self, model: str, recipe: Recipe) -> TrainingTensors:
        """These, or those with codes where a trial's network embeds categories: always the same ones."""
        arrays = self._arrays.suited(model, recipe)
        if arrays is self._arrays:
            return self
        if self._embedded is None:
            self._embedded = TrainingTensors(arrays, self.loss, self.device, self.teacher)
        return self._embedded

    def inputs(self, kind: str | None) -> InputTensors:
        """The inputs under one kind of scaling, fitted on the training split; None: what the data says."""
        kind = kind or self.data.scaling
        if kind not in self._inputs:
            data = self.data
            scaling = Scaling.of(kind, data)
            train, validation = (self._scaled(scaling, split.x) for split in (data.train, data.validation))
            sample = train.part(self._rows) if isinstance(train, ByteImages) else train[self._rows]
            self._inputs[kind] = ScaledInputs(train, sample, validation, scaling)
        return self._inputs[kind]

    def weights(self, class_weight: str | None) -> Tensor | None:
        """What each training row counts, (N,), on the CPU; None: all the same. See `row_weights`.

        Args:
            class_weight: the trial's; None: the study's.
        """
        found = self._arrays.weights(class_weight)
        return None if found is None else torch.from_numpy(found)

    @cached_property
    def lessons(self) -> Tensor:
        """Soft targets of the training split and behind them the teacher's outputs, (N, 2 outputs)."""
        assert self.teacher is not None  # noqa: S101 - asked for where there is one
        taught = self._placed(self.teacher.outputs(self.data.train.x))
        return torch.cat([self.loss.soft(self.train), taught], dim=1)

    def judged(self, outputs: Tensor, truth: TargetTensors, score: Score) -> tuple[float, float]:
        """Loss and score of a network's outputs, (N, outputs)."""
        loss, task = self.loss, self.data.task
        if score.takes_probabilities(task):
            given = loss.probabilities(outputs.float())
        else:
            given = loss.indices(outputs) if task.is_of_classes else outputs.float()
        found = score.of(truth.y, given.numpy(force=True), self.data, truth.weight)
        if truth.weight is None:
            return loss(outputs, truth.targets).item(), found
        weight = torch.from_numpy(truth.weight).to(outputs.device)
        return (loss.rows(outputs, truth.targets) * weight).mean().item(), found

    def _targets(self, truth: Truth, y: NDArray[Any]) -> TargetTensors:
        return TargetTensors(truth.y, truth.weight, self.loss.targets(self._placed(y)))

    def _scaled(self, scaling: Scaling, x: NDArray[Any]) -> Inputs:
        if x.dtype == np.uint8:
            return ByteImages(x, scaling, self.device)
        return self._placed(scaling.apply(x))

    def _placed(self, array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self.device)
