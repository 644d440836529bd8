"""TorchTrainer, and its population of one trial: exactly the recipe, what fused training is held to.

Turns what goes wrong in a trial into a value. How a step is made is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch

from tuner.core.dataset import Dataset
from tuner.core.ports import Exhausted, Failure, Job, Outcome, Population, Snapshot
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.errors import DataError, DeviceError, TrialError
from tuner.trainers import scores
from tuner.trainers.device import device_fault
from tuner.trainers.torch import fused, losses, stacked
from tuner.trainers.torch.costs import asked
from tuner.trainers.torch.failures import failure, threads
from tuner.trainers.torch.faults import default_model, faults
from tuner.trainers.torch.fused import FusedPopulation
from tuner.trainers.torch.material import Material
from tuner.trainers.torch.model import write
from tuner.trainers.torch.run import Run
from tuner.trainers.torch.stacked import StackedPopulation


class TorchTrainer:
    """Trains `mlp`, `cnn` or a network of one's own on tables and images."""

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data cannot be trained, ``key: what; what to do`` each."""
        return faults(spec, data)

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why trials train one at a time; None when they can be fused."""
        if data is None:
            return "there is no data"
        if fused.unfit(spec, data, device) is None:
            return None
        return device_fault(device) or stacked.unfit(spec, data, device)

    def parks(self, spec: StudySpec) -> bool:  # noqa: ARG002
        """Always, see `TorchPopulation.snapshot`."""
        return True

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:
        """Only compiled rows train side by side; see `fused.efforts`."""
        if job.rows == 1 or job.data is None or fused.unfit(job.spec, job.data, job.device) is not None:
            return None
        return fused.efforts(job.data)

    def populate(self, job: Job) -> Population:
        """Move the data to the device and set up empty rows: fused ones where more than one is asked for.

        Raises:
            DataError: the study has no data.
            DeviceError: the device is not there.
        """
        if job.rows == 1 or job.data is None or self.unfused(job.spec, job.data, job.device) is not None:
            return TorchPopulation(job)
        if fused.unfit(job.spec, job.data, job.device) is None:
            return FusedPopulation(job)
        return StackedPopulation(job, TorchPopulation)


class TorchPopulation:
    """One row."""

    def __init__(self, job: Job, material: Material | None = None) -> None:
        if job.data is None:
            raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
        if fault := device_fault(job.device):
            raise DeviceError(f"device: {fault}")
        trainer, task = job.spec.trainer, job.data.task
        loss = losses.of(job.spec, job.data)
        self._spec = job.spec
        self._thread_count = job.threads
        self._model = trainer.model or default_model(job.data)
        self._score = scores.name_of(job.spec, task)
        self._device = torch.device(job.device)
        self._material = material or Material(job.data, loss, job.spec.search.seed, self._device)
        self._run: Run | None = None
        self._failure: Failure | None = None

    @property
    def capacity(self) -> int:
        """One."""
        return 1

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Build the trial's network, and bring it into a snapshot's state.

        What goes wrong with it is the next `advance`'s Failure.
        """
        if row != 0 or self._run is not None or self._failure is not None:
            raise ValueError(f"row {row} is not an empty row of this population")
        epochs, goal = self._spec.trainer.epochs, self._spec.goal()
        try:
            with threads(self._thread_count):
                run = Run(trial, self._model, self._material, epochs, self._score, goal, asked(self._spec))
                if snapshot is not None:
                    run.restore(snapshot)
                self._run = run
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            self._failure = failure(error, self._device)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train the trial for one epoch, if its row is among `rows`.

        Raises:
            DeviceError: CUDA failed, other than for want of memory.
        """
        if rows is not None and 0 not in rows:
            return {}
        if self._failure is not None:
            return {0: self._failure}
        if self._run is None:
            return {}
        if self._run.epoch >= self._spec.trainer.epochs:
            return {0: Exhausted()}
        try:
            with threads(self._thread_count):
                return {0: self._run.advance()}
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            self._failure = failure(error, self._device)
            return {0: self._failure}

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value.

        Raises:
            TrialError: the network has a state that is no tensor.
        """
        run, material = self._run, self._material
        if row != 0 or run is None or run.best is None:
            return False
        if missing := run.missing():
            raise TrialError(f"{missing[0]} in the network's state_dict is no tensor; make it a buffer")
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

    def snapshot(self, row: int) -> Snapshot | None:
        """The trial's state.

        None when there is no trial or it failed, and of a network with a state besides parameters
        and buffers that is no tensor.
        """
        if row != 0 or self._run is None or self._failure is not None:
            return None
        return self._run.snapshot()

    def clear(self, row: int) -> None:
        """Drop the trial and its memory."""
        if row != 0:
            raise ValueError(f"row {row} is not a row of this population")
        self._run = self._failure = None
