"""TrainingTensors: a study's arrays as tensors on a device, scaled once for each kind of scaling.

Shared by all trials of a batch; never written to after it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.data.scaling import Scaling
from tuner.errors import DataError, DeviceError
from tuner.trainers.device import device_fault
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
class Truth:
    """What outputs are measured against.

    Attributes:
        targets: as the loss takes them.
        y: as the data has them; (N,) class indices, or (N, T) standardized numbers.
    """

    targets: Tensor
    y: NDArray[Any]


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
    return TrainingTensors(data, losses.of(job.spec, data), job.spec.search.seed, torch.device(device))


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

    def __init__(self, data: Dataset, loss: Loss, study_seed: int, device: torch.device) -> None:
        self.data, self.loss, self.device = data, loss, device
        count = min(len(data.train), len(data.validation))
        generator = torch.Generator().manual_seed(derive(study_seed, -1, "sample"))
        chosen = torch.randperm(len(data.train), generator=generator)[:count]
        self._rows = chosen.sort().values.to(device)
        self.train = self._truth(data.train.y).targets
        self.sample = self._truth(data.train.y[self._rows.numpy(force=True)])
        self.validation = self._truth(data.validation.y)
        self._inputs: dict[str, InputTensors] = {}

    def inputs(self, kind: str) -> InputTensors:
        """The inputs under one kind of scaling, fitted on the training split."""
        if kind not in self._inputs:
            scaling = Scaling.fit(kind, self.data.train.x)
            train = self._placed(scaling.apply(self.data.train.x))
            validation = self._placed(scaling.apply(self.data.validation.x))
            self._inputs[kind] = InputTensors(train, train[self._rows], validation, scaling)
        return self._inputs[kind]

    def judged(self, outputs: Tensor, truth: Truth, score: Score) -> tuple[float, float]:
        """Loss and score of a network's outputs, (N, outputs)."""
        loss, task = self.loss, self.data.task
        if score.takes_probabilities(task):
            given = loss.probabilities(outputs.float())
        else:
            given = loss.indices(outputs) if task is Task.CLASSIFICATION else outputs.float()
        found = score.of(truth.y, given.numpy(force=True), self.data)
        return loss(outputs, truth.targets).item(), found

    def _truth(self, y: NDArray[Any]) -> Truth:
        targets = self.loss.targets(self._placed(y))
        return Truth(targets, y if self.data.task is Task.CLASSIFICATION else y.reshape(len(y), -1))

    def _placed(self, array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self.device)
