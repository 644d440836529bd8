"""TorchTrainer, and its population of one trial: exactly the recipe, what fused training is held to.

Turns what goes wrong in a trial into a value. How a step is made is not known here.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from tuner.core.dataset import Dataset
from tuner.core.ports import Exhausted, Failure, Job, Outcome, Population
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.errors import DataError, DeviceError, TunerError
from tuner.trainers.torch import losses, scores
from tuner.trainers.torch.faults import default_model, device_fault, faults
from tuner.trainers.torch.fused import FusedPopulation, unfit
from tuner.trainers.torch.losses import Loss
from tuner.trainers.torch.material import Material
from tuner.trainers.torch.model import write
from tuner.trainers.torch.run import Run


class TorchTrainer:
    """Trains `mlp`, `cnn` or a network of one's own on tables and images."""

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data cannot be trained, ``key: what; what to do`` each."""
        return faults(spec, data)

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why trials train one at a time; None when they can be fused."""
        return "there is no data" if data is None else unfit(spec, data, device)

    def populate(self, job: Job) -> Population:
        """Move the data to the device and set up empty rows: fused ones where more than one is asked for.

        Raises:
            DataError: the study has no data.
            DeviceError: the device is not there.
        """
        if job.rows > 1 and self.unfused(job.spec, job.data, job.device) is None:
            return FusedPopulation(job)
        return TorchPopulation(job)


class TorchPopulation:
    """One row."""

    def __init__(self, job: Job) -> None:
        if job.data is None:
            raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
        if fault := device_fault(job.device):
            raise DeviceError(f"device: {fault}")
        trainer, task = job.spec.trainer, job.data.task
        loss = Loss(trainer.loss or losses.FOR_TASK[task][0], job.data.outputs)
        self._spec = job.spec
        self._thread_count = job.threads
        self._model = trainer.model or default_model(job.data)
        self._score = trainer.score or scores.FOR_TASK[task][0]
        self._device = torch.device(job.device)
        self._material = Material(job.data, loss, job.spec.search.seed, self._device)
        self._run: Run | None = None
        self._failure: Failure | None = None

    @property
    def capacity(self) -> int:
        """One."""
        return 1

    def place(self, row: int, trial: Trial) -> None:
        """Build the trial's network. What goes wrong with it is the next `advance`'s Failure."""
        if row != 0 or self._run is not None or self._failure is not None:
            raise ValueError(f"row {row} is not an empty row of this population")
        epochs, goal = self._spec.trainer.epochs, self._spec.goal()
        try:
            with _threads(self._thread_count):
                self._run = Run(trial, self._model, self._material, epochs, self._score, goal)
        except Exception as error:  # noqa: BLE001
            self._failure = self._failed(error)

    def advance(self) -> Mapping[int, Outcome]:
        """Train the trial for one epoch.

        Raises:
            DeviceError: CUDA failed, other than for want of memory.
        """
        if self._failure is not None:
            return {0: self._failure}
        if self._run is None:
            return {}
        if self._run.epoch >= self._spec.trainer.epochs:
            return {0: Exhausted()}
        try:
            with _threads(self._thread_count):
                return {0: self._run.advance()}
        except Exception as error:  # noqa: BLE001
            self._failure = self._failed(error)
            return {0: self._failure}

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value."""
        run, material = self._run, self._material
        if row != 0 or run is None or run.best is None:
            return False
        write(
            folder,
            model=self._model,
            trial=run.trial,
            context=run.context,
            loss=material.loss,
            scaling=run.inputs.scaling,
            data=material.data,
            best=run.best,
            weights=run.weights,
        )
        return True

    def clear(self, row: int) -> None:
        """Drop the trial and its memory."""
        if row != 0:
            raise ValueError(f"row {row} is not a row of this population")
        self._run = self._failure = None

    def _failed(self, error: Exception) -> Failure:
        text = "".join(traceback.format_exception(error))
        if isinstance(error, torch.cuda.OutOfMemoryError):
            torch.cuda.empty_cache()
            told = "out of memory on the GPU; lower batch_size, width or [trainer] workers"
            return Failure(told, text)
        if self._device.type == "cuda" and "CUDA error" in str(error):
            raise DeviceError(f"{self._device}: {_line(error)}; start again with a fresh process") from error
        if isinstance(error, TunerError):
            return Failure(_line(error), text)
        return Failure(f"{type(error).__name__}: {_line(error)}", text)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with so many threads: a sum's last bit depends on how many share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "without a message"
