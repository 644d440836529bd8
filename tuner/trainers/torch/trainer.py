"""TorchTrainer: trials fused where they can be, and else one at a time, exactly by the recipe.

Compiled rows need no PyTorch, so what does is imported when a trial wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Snapshot, TrialBatch
from tuner.core.trial import Trial
from tuner.trainers.device import device_fault
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.torch import compilable, fused
from tuner.trainers.torch.faults import validate
from tuner.trainers.torch.fused import FusedBatch

if TYPE_CHECKING:
    from tuner.trainers.torch.session import TorchSession
    from tuner.trainers.torch.training_tensors import TrainingTensors


class TorchTrainer:
    """Trains `mlp`, `cnn` or a network of one's own on tables and images."""

    takes_ranks = True

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
        from tuner.trainers.torch.session import TorchSession
        from tuner.trainers.torch.training_tensors import tensors_of

        data = job.data_for(trial)
        tensors = self._tensors_of.of(job, data, lambda: tensors_of(job, data)) if data else None
        return TorchSession(job, trial, tensors or tensors_of(job, data), snapshot)

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why trials train one at a time; None when they can be fused."""
        if data is None:
            return "there is no data"
        if compilable.why_none_fused(spec, data, device) is None:
            return None
        from tuner.trainers.torch import stacked

        return device_fault(device) or stacked.why_not_stacked(spec, data, device)

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        """Only where all rows are compiled; see `fused.epoch_cost`."""
        device = job.resources.device
        if (
            job.rows == 1
            or job.data is None
            or compilable.why_not_fused(job.spec, job.data, device) is not None
        ):
            return None
        return fused.epoch_cost(job, job.data)

    def step_work(self, job: Job, trial: Trial) -> float:
        """The arithmetic of a step; 0 where the trial is compiled."""
        member = job.members(trial)[0]
        data = job.data_for(member)
        if data is None or (
            compilable.why_none_fused(job.spec, data, job.resources.device) is None
            and compilable.why_not_compiled(member, data) is None
        ):
            return 0.0
        from tuner.trainers.torch.stacked import work_of
        from tuner.trainers.torch.training_tensors import tensors_of

        return work_of(job, member, self._tensors_of.of(job, data, lambda: tensors_of(job, data)))

    def open_batch(self, job: Job) -> TrialBatch:
        """Set up fused rows: compiled ones, where trials can be, and else such as are computed side by side.

        Raises:
            DataError: the study has no data.
            DeviceError: the device is not there.
        """
        if job.data is None or compilable.why_none_fused(job.spec, job.data, job.resources.device) is None:
            return FusedBatch(job)
        from tuner.trainers.torch.stacked import StackedBatch

        return StackedBatch(job)
