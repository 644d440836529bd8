"""TrainingTensors: a study's arrays as tensors on a device, scaled once for each kind of scaling.

Shared by all trials of a batch; never written to after it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.data.scaling import Scaling
from tuner.errors import DataError, DeviceError
from tuner.trainers.device import device_fault
from tuner.trainers.row_weights import ClassWeight, row_weights
from tuner.trainers.scores import Score
from tuner.trainers.torch import losses
from tuner.trainers.torch.losses import Loss


@dataclass(frozen=True, slots=True)
class InputTensors:
    """The scaled inputs, (N, D) or (N, C, H, W) each.

    Attributes:
        train: what is trained on.
        sample: the rows of it that the training loss is measured on.
        validation: what trials are judged by.
        scaling: how raw inputs became these.
    """

    train: Tensor
    sample: Tensor
    validation: Tensor
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class TargetTensors:
    """What outputs are measured against.

    Attributes:
        targets: as the loss takes them.
        y: as the data has them; (N,) class indices, or (N, T) standardized numbers.
        weight: (N,) what each row counts, their mean 1; None: all the same.
    """

    targets: Tensor
    y: NDArray[Any]
    weight: NDArray[np.float32] | None = None


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
    loss, own = losses.of(job.spec, data), job.spec.trainer.class_weight
    return TrainingTensors(data, loss, job.spec.search.seed, torch.device(device), own)


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
    """

    def __init__(
        self,
        data: Dataset,
        loss: Loss,
        study_seed: int,
        device: torch.device,
        class_weight: ClassWeight = None,
    ) -> None:
        self.data, self.loss, self.device = data, loss, device
        self._class_weight = class_weight
        count = min(len(data.train), len(data.validation))
        generator = torch.Generator().manual_seed(derive(study_seed, -1, "sample"))
        chosen = torch.randperm(len(data.train), generator=generator)[:count]
        self._rows = chosen.sort().values.to(device)
        self.train = self._truth(data.train.y).targets
        rows = self._rows.numpy(force=True)
        self.sample = self._truth(data.train.y[rows], _part(data.train.weight, rows))
        self.validation = self._truth(data.validation.y, data.validation.weight)
        self._inputs: dict[str, InputTensors] = {}
        self._weights: dict[str | None, Tensor | None] = {}

    def inputs(self, kind: str) -> InputTensors:
        """The inputs under one kind of scaling, fitted on the training split."""
        if kind not in self._inputs:
            scaling = Scaling.fit(kind, self.data.train.x)
            train = self._placed(scaling.apply(self.data.train.x))
            validation = self._placed(scaling.apply(self.data.validation.x))
            self._inputs[kind] = InputTensors(train, train[self._rows], validation, scaling)
        return self._inputs[kind]

    def weights(self, class_weight: str | None) -> Tensor | None:
        """What each training row counts, (N,), on the CPU; None: all the same. See `row_weights`.

        Args:
            class_weight: the trial's; None: the study's.
        """
        if class_weight not in self._weights:
            found = row_weights(self.data, class_weight or self._class_weight)
            self._weights[class_weight] = None if found is None else torch.from_numpy(found)
        return self._weights[class_weight]

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

    def _truth(self, y: NDArray[Any], weight: NDArray[np.float32] | None = None) -> TargetTensors:
        targets = self.loss.targets(self._placed(y))
        y = y if self.data.task is Task.CLASSIFICATION else y.reshape(len(y), -1)
        return TargetTensors(targets, y, weight)

    def _placed(self, array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self.device)


def _part(weight: NDArray[np.float32] | None, rows: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """The weights of some rows, their mean 1."""
    if weight is None:
        return None
    part = weight[rows]
    found: NDArray[np.float32] = part / (part.mean() or np.float32(1))
    return found
