"""What every executor must do when a trial, a disk or a device fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.core.events import Failed, Finished
from tuner.errors import DeviceError, StoreError
from tuner.testing.executor.harness import ExecutorHarness, ExecutorSuite


class FailureContract(ExecutorSuite):
    """What belongs to one trial is an event; what belongs to the machine is raised."""

    def test_a_failed_trial_is_a_value_and_its_neighbour_goes_on(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1, does="fail", at=2), desk.trial(2))
        desk.until_over(1, 2)
        assert desk.end(1) == Failed(1, "ValueError: told to", "Traceback ...")
        assert isinstance(desk.end(2), Finished)

    def test_what_escapes_a_batch_fails_its_trials_and_the_executor_goes_on(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="raise", at=2))
        desk.until_over(1)
        failed = desk.end(1)
        assert isinstance(failed, Failed)
        assert failed.error == "ValueError: it escaped"
        assert "in step" in failed.traceback
        desk.submit(*(desk.trial(number) for number in range(2, 2 + self.rows)))
        desk.until_over(*range(2, 2 + self.rows))
        assert isinstance(desk.end(2), Finished)

    def test_a_trial_whose_model_cannot_be_written_ends_as_any_other_and_says_why(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="save_failure"), desk.trial(2))
        desk.until_over(1, 2)
        ended, other = desk.end(1), desk.end(2)
        assert isinstance(ended, Finished)
        assert ended.model_path is None
        assert ended.save_failure is not None
        assert ended.save_failure.error == "ValueError: no such format"
        assert "in save" in ended.save_failure.traceback
        assert isinstance(other, Finished)
        assert other.save_failure is None
        assert other.model_path is not None

    def test_a_disk_that_takes_no_model_ends_everything_and_is_no_trials_fault(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1, does="unsaved"))
            with pytest.raises(StoreError, match=r"model of trial 1 .*: No space left on device; .*resume"):
                desk.until_over(1)
            assert desk.end(1) is None
            assert not list((desk.folder / "models").glob("*1"))

    def test_a_broken_device_ends_everything(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1, does="device", at=2))
            with pytest.raises(DeviceError, match="abacus:0 is broken"):
                desk.until_over(1)
