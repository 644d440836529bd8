"""What every executor must do; a suite that third parties can run on their own.

Derive a test class, say how the executor is made, and pytest runs the rest::

    class TestMyExecutor(ExecutorContract):
        def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
            return MyExecutor(make, job, artifacts)
"""

from __future__ import annotations

from tuner.testing.executor.checkpoints import CheckpointContract
from tuner.testing.executor.fakes import FakeBatch, FakeTrainer, artifacts, models_in, study
from tuner.testing.executor.harness import ExecutorHarness
from tuner.testing.executor.running import FailureContract, RunningContract

__all__ = [
    "ExecutorContract",
    "ExecutorHarness",
    "FakeBatch",
    "FakeTrainer",
    "artifacts",
    "models_in",
    "study",
]


class ExecutorContract(RunningContract, FailureContract, CheckpointContract):
    """All that an executor must do. Derive from it; what `executor` returns is put to the test."""
