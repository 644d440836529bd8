"""CommandTrainer: a trial is a command that prints numbers, in any language.

A command is run by a training function like any other, `ScriptRun`, so its state, its model and its end are
those of `FunctionTrainer`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Snapshot
from tuner.core.trial import Trial
from tuner.trainers.command.line import faults
from tuner.trainers.command.metrics import metrics_faults
from tuner.trainers.command.run import ScriptRun
from tuner.trainers.device import device_fault_of_command, device_faults
from tuner.trainers.function import FunctionSession, FunctionTrainer


class CommandTrainer:
    """Trains by running `[trainer] command`; a `SessionTrainer`."""

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What is wrong with the command, its metrics, and the device that it is told of."""
        found = list(device_faults(spec.trainer.devices, device_fault_of_command))
        if data is not None or spec.data is not None:
            found.append("data: a command reads its data by itself; drop [data]")
        if spec.trainer.command is None:
            return [*found, 'trainer.command: is missing; give e.g. "python train.py ${args}"']
        found += faults(spec.trainer.command, spec)
        if spec.trainer.metrics is not None:
            found += metrics_faults(spec.trainer.metrics)
        return found

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> FunctionSession:
        """Prepare the command; it runs from the first `next` on."""
        return FunctionTrainer(ScriptRun(job.spec.trainer)).start(job, trial, snapshot)
