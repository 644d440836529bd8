"""What every trainer must do with the state of a trial that is to go on elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tuner.core.training import Snapshot
from tuner.core.trial import Trial
from tuner.testing.trainer.comparing import (
    as_reading,
    content,
    files_of,
    same,
    untimed_files,
    written_and_read,
)
from tuner.testing.trainer.suite import TrainerSuite
from tuner.trainers import load_model


class SnapshotContract(TrainerSuite):
    """A trial goes on from its snapshot bit for bit."""

    def test_snapshot_goes_on_bit_for_bit_in_any_row_beside_any_neighbours(self, tmp_path: Path) -> None:
        trial, job = self.trial(3), dataclasses.replace(self.job(), rows=3)
        whole = self.batch(job)
        whole.place(0, trial)
        wanted = self.train(whole)
        for epochs in range(1, len(wanted) + 1):
            there = self.batch(job)
            last = there.capacity - 1
            for row in range(last):
                there.place(row, self.trial(row))
                there.advance()
            there.place(last, trial, self.kept(trial, epochs))
            curve = wanted[:epochs]
            while len(curve) < len(wanted):
                curve.append(as_reading(there.advance()[last]))
            assert same(curve, wanted), epochs
            folders = [tmp_path / f"{epochs}-{name}" for name in ("whole", "parts")]
            for folder, batch, row in zip(folders, (whole, there), (0, last), strict=True):
                folder.mkdir()
                batch.save(row, folder)
            assert untimed_files(folders[0]) == untimed_files(folders[1])
            if self.predicts and job.data is not None and files_of(folders[0]):
                one, two = (load_model(folder).predict(job.data.validation.x) for folder in folders)
                assert np.array_equal(one, two)

    def test_snapshot_that_was_placed_is_handed_out_again(self) -> None:
        trial = self.trial(3)
        snapshot = self.kept(trial, 1)
        batch = self.batch()
        batch.place(batch.capacity - 1, trial, snapshot)
        again = batch.snapshot(batch.capacity - 1)
        assert again is not None
        assert content(again) == content(snapshot)

    def test_snapshot_stays_as_it_is_while_training_goes_on(self) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        batch.advance()
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        before = content(snapshot)
        batch.advance()
        batch.clear(0)
        assert content(snapshot) == before

    def test_an_empty_row_has_no_snapshot(self) -> None:
        assert self.batch().snapshot(0) is None

    def kept(self, trial: Trial, epochs: int) -> Snapshot:
        """The trial's state after some epochs, written and read again."""
        batch = self.batch()
        batch.place(0, trial)
        for _ in range(epochs):
            as_reading(batch.advance()[0])
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        assert snapshot.epoch == epochs
        return written_and_read(snapshot)
