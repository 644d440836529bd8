"""What every trainer must do; a suite that third parties can run on their own.

Derive a test class, say which trainer it is and what it is given, and pytest runs the rest::

    class TestMyTrainer(TrainerContract):
        def trainer(self) -> Trainer:
            return MyTrainer()

        def job(self) -> Job:
            return Job(study(use="my_package:MyTrainer", epochs=3), blobs(), rows=2)

        def params(self, number: int) -> Params:
            return {"learning_rate": 0.01 * (number + 1)}
"""

from __future__ import annotations

from tuner.testing.trainer.comparing import same, written_and_read
from tuner.testing.trainer.readings import ReadingContract
from tuner.testing.trainer.samples import blobs, line, study
from tuner.testing.trainer.saved import SavedModelContract, SnapshotContract

__all__ = ["TrainerContract", "blobs", "line", "same", "study", "written_and_read"]


class TrainerContract(ReadingContract, SavedModelContract, SnapshotContract):
    """All that a trainer must do.

    Derive from it; what `trainer`, `job` and `params` return is put to the test.
    """
