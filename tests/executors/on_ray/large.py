"""A trainer whose states are larger than the smallest object store of a node."""

from __future__ import annotations

import numpy as np

from tuner.core.job import Job
from tuner.core.training import Snapshot, TrialBatch
from tuner.testing.executor import FakeBatch, FakeTrainer

STORE_BYTES = 75 * 2**20
"""Ray allows no smaller one."""


class LargeTrainer(FakeTrainer):
    """As it is, but for the states."""

    def open_batch(self, job: Job) -> TrialBatch:
        """As many rows as the job wants."""
        return LargeBatch(job.rows)


class LargeBatch(FakeBatch):
    """Rows of a LargeTrainer."""

    def snapshot(self, row: int) -> Snapshot | None:
        """Larger than the store."""
        found = super().snapshot(row)
        assert found is not None
        large = np.full(STORE_BYTES + 2**20, found.epoch, np.int8)
        return Snapshot(found.epoch, {**found.arrays, "large": large}, found.facts)
