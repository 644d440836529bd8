"""What every executor must do with trials that train: order, rows, stops, which models are kept, failures."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from tuner.core.events import Failed, Finished, Reported, Stopped
from tuner.errors import DeviceError, StoreError
from tuner.testing.executor.fakes import models_in
from tuner.testing.executor.harness import ExecutorHarness, ExecutorSuite


class RunningContract(ExecutorSuite):
    """Trials are reported in order, rows are given again, and what is stopped trains no further."""

    def test_every_epoch_is_reported_in_order_and_then_the_end(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(4), desk.trial(5))
        desk.until_over(4, 5)
        for number in (4, 5):
            assert [type(event) for event in desk.of(number)] == [Reported, Reported, Reported, Finished]
            assert [e.reading.epoch for e in desk.of(number) if isinstance(e, Reported)] == [1, 2, 3]
            assert desk.diary(number) == [1, 2, 3]

    def test_nothing_trains_before_the_next_poll(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1))
        assert desk.diary(1) == []
        desk.until(lambda: desk.of(1))
        desk.executor.stop({1: True})
        assert desk.diary(1) == [1]
        desk.until_over(1)
        assert isinstance(desk.end(1), Stopped)

    def test_rows_are_counted_and_given_again(self, desk: ExecutorHarness) -> None:
        for first in (0, self.rows):
            numbers = range(first, first + self.rows)
            desk.submit(*(desk.trial(number) for number in numbers))
            assert desk.executor.free() == 0
            desk.until_over(*numbers)
            assert desk.executor.free() == self.rows

    def test_a_stopped_trials_row_is_free_at_once_and_refilled_by_the_same_poll(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, epochs=10**6) as desk:
            desk.submit(*(desk.trial(number) for number in range(self.rows)))
            desk.until(lambda: desk.of(0))
            desk.executor.stop({0: True})
            assert desk.executor.free() == 1
            desk.submit(desk.trial(9))
            assert desk.executor.free() == 0
            desk.until_over(0)
            assert [type(event) for event in desk.of(9)] == [Reported]

    def test_a_stopped_trial_never_trains_past_its_epoch_and_its_model_is_written(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1), desk.trial(2))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.stop({1: True})
        desk.until_over(1, 2)
        assert desk.end(1) == Stopped(1, str(desk.folder / "models/1"))
        assert (desk.folder / "models/1/model.txt").read_text() == "trial 1, 2 epochs\n"
        assert desk.diary(1) == [1, 2]
        assert desk.diary(2) == [1, 2, 3]

    def test_a_stopped_trials_model_is_written_only_if_it_is_wanted(self, desk: ExecutorHarness) -> None:
        for number, wanted in ((1, False), (2, True)):
            desk.submit(desk.trial(number), bar=-1.0)
            desk.until(functools.partial(desk.of, number))
            desk.executor.stop({number: wanted})
            desk.until_over(number)
        assert desk.end(1) == Stopped(1, None)
        assert models_in(desk.folder / "models") == {"2"}

    def test_models_are_written_from_the_bar_upwards_and_trial_0s_always(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(0, loss=9.0), desk.trial(1, loss=2.0), bar=2.0)
        desk.until_over(0, 1)
        desk.submit(desk.trial(2, loss=1.66), desk.trial(3, loss=1.67), bar=2.0)
        desk.until_over(2, 3)
        assert models_in(desk.folder / "models") == {"0", "2"}
        assert desk.end(1) == Finished(1, None)
        assert desk.end(2) == Finished(2, str(desk.folder / "models/2"))

    def test_a_folder_of_an_earlier_attempt_is_replaced(self, desk: ExecutorHarness) -> None:
        for name in ("1", ".writing-1"):
            (desk.folder / "models" / name).mkdir(parents=True)
            (desk.folder / "models" / name / "old.txt").write_text("half")
        desk.submit(desk.trial(1))
        desk.until_over(1)
        assert models_in(desk.folder / "models/1") == {"model.txt", "model.json"}
        assert models_in(desk.folder / "models") == {"1"}

    def test_a_trial_that_is_exhausted_finishes(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1, does="exhaust", at=2))
        desk.until_over(1)
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_closing_leaves_running_trials_where_they_are(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1))
            desk.until(lambda: desk.of(1))
            desk.executor.close()
            assert desk.diary(1) == [1]
            assert desk.end(1) is None


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
