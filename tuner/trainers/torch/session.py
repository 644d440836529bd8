"""TorchSession: one trial, step by step by the recipe; what fused training is held to."""

from __future__ import annotations

from pathlib import Path

from tuner.core.job import Job
from tuner.core.training import Exhausted, Outcome, Snapshot
from tuner.core.trial import Trial
from tuner.errors import TrialError
from tuner.trainers.torch.context import model_of
from tuner.trainers.torch.data_parallel import DataParallel
from tuner.trainers.torch.failures import threads, translated
from tuner.trainers.torch.model import write
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.training_tensors import TrainingTensors
from tuner.trainers.torch.trial_run import TrialRun


class TorchSession:
    """One trial, step by step by the recipe: what fused training is held to; a `TrialSession`."""

    def __init__(
        self, job: Job, trial: Trial, tensors: TrainingTensors, snapshot: Snapshot | None = None
    ) -> None:
        spec = self._spec = job.spec
        self._epochs, self._threads = spec.trainer.epochs, job.resources.threads
        self._model = model_of(spec, tensors.data)
        self._tensors = tensors = tensors.suited(self._model, Recipe.of(trial.params))
        with translated(tensors.device), threads(self._threads):
            parallel = DataParallel(job.resources, spec.trainer.sync_every)
            self._run = TrialRun(trial, self._model, tensors, spec, parallel)
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
