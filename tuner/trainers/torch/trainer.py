"""TorchTrainer: trials fused where they can be, and else one at a time, exactly by the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Outcome, Snapshot, TrialBatch
from tuner.core.trial import Trial
from tuner.errors import TrialError
from tuner.trainers import threshold
from tuner.trainers.device import device_fault
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.torch import fused, stacked
from tuner.trainers.torch.costs import asked
from tuner.trainers.torch.failures import threads, translated
from tuner.trainers.torch.faults import default_model, validate
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.model import write
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.training_tensors import TrainingTensors, tensors_of
from tuner.trainers.torch.trial_run import TrialRun


class TorchTrainer:
    """Trains `mlp`, `cnn` or a network of one's own on tables and images."""

    def __init__(self) -> None:
        self._tensors_of: PerDataset[TrainingTensors] = PerDataset()

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data cannot be trained, ``key: what; what to do`` each."""
        return validate(spec, data)

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> TorchSession:
        """Build the trial's network, and bring it into a snapshot's state.

        Raises:
            DataError: the study has no data.
            DeviceError: the device is not there, or failed.
        """
        data = job.data_for(trial)
        tensors = self._tensors_of.of(job, data, lambda: tensors_of(job, data)) if data else None
        return TorchSession(job, trial, tensors or tensors_of(job, data), snapshot)

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why trials train one at a time; None when they can be fused."""
        if data is None:
            return "there is no data"
        if fused.why_not_fused(spec, data, device) is None:
            return None
        return device_fault(device) or stacked.why_not_stacked(spec, data, device)

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        """Only compiled rows train side by side; see `fused.epoch_cost`."""
        device = job.resources.device
        if job.rows == 1 or job.data is None or fused.why_not_fused(job.spec, job.data, device) is not None:
            return None
        return fused.epoch_cost(job, job.data)

    def open_batch(self, job: Job) -> TrialBatch:
        """Set up fused rows: compiled ones, or such as are computed side by side.

        Raises:
            DataError: the study has no data.
            DeviceError: the device is not there.
        """
        if job.data is None or fused.why_not_fused(job.spec, job.data, job.resources.device) is None:
            return FusedBatch(job)
        return StackedBatch(job, TorchSession)


class TorchSession:
    """One trial, step by step by the recipe: what fused training is held to; a `TrialSession`."""

    def __init__(
        self, job: Job, trial: Trial, tensors: TrainingTensors, snapshot: Snapshot | None = None
    ) -> None:
        spec = self._spec = job.spec
        self._epochs, self._threads = spec.trainer.epochs, job.resources.threads
        self._model = spec.trainer.model or default_model(tensors.data)
        self._tensors = tensors
        score = threshold.score_of(spec, tensors.data.task)
        with translated(tensors.device), threads(self._threads):
            self._run = TrialRun(
                trial, self._model, tensors, self._epochs, score, spec.primary_objective(), asked(spec)
            )
            if snapshot is not None:
                self._run.restore(snapshot)

    def next(self) -> Outcome:
        """Train the trial for one epoch.

        Raises:
            DeviceError: CUDA failed, other than for want of memory.
        """
        if self._run.epoch >= self._epochs:
            return Exhausted()
        with translated(self._tensors.device), threads(self._threads):
            return self._run.advance()

    def snapshot(self) -> Snapshot | None:
        """The trial's state; None of a network that has a state which is no tensor."""
        return self._run.snapshot()

    def save(self, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value.

        Raises:
            TrialError: the network has a state that is no tensor.
        """
        run, tensors = self._run, self._tensors
        if run.best is None:
            return False
        if missing := run.missing():
            raise TrialError(f"{missing[0]} in the network's state_dict is no tensor; make it a buffer")
        write(
            folder,
            model=self._model,
            trial=run.trial,
            context=run.context,
            loss=tensors.loss,
            scaling=run.inputs.scaling,
            data=tensors.data,
            best=run.best,
            weights=run.weights,
            spec=self._spec,
        )
        return True

    def close(self) -> None:
        """Drop the trial and its memory."""
        del self._run
