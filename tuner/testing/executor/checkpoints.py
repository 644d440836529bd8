"""What every executor must do with trials that pause or were interrupted."""

from __future__ import annotations

import functools
from pathlib import Path

from tuner.core.events import Finished, Paused, Reported, Restarted, Stopped
from tuner.core.ports import Placement
from tuner.core.trial import Reading
from tuner.testing.executor.harness import ExecutorHarness, ExecutorSuite


class CheckpointContract(ExecutorSuite):
    """A trial goes on from its checkpoint, or trains again what is recorded."""

    def test_a_paused_trial_goes_on_where_it_was(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1), desk.trial(2))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: True})
        desk.until_over(1, 2)
        assert desk.end(1) == Paused(1, str(desk.folder / "models/1"))
        assert desk.executor.free() == self.rows
        desk.go_on(desk.trial(1), 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 3]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [3]

    def test_the_checkpoints_of_a_trial_go_when_it_is_over_or_dropped(self, tmp_path: Path) -> None:
        def checkpoints() -> set[str]:
            return {path.name.partition(".")[0] for path in (tmp_path / "models/checkpoints").iterdir()}

        with self.opened(tmp_path) as first:
            # One after the other, for two would not wait for each other.
            for number in (1, 2):
                first.submit(first.trial(number))
                first.until(functools.partial(first.of, number))
                first.executor.pause({number: False})
                first.until_over(number)
            first.executor.drop([1])
            first.executor.close()
        assert checkpoints() == {"2"}
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(2), len(second.of(2)) - 1)
            second.until_over(2)
        assert checkpoints() == set()

    def test_a_trial_without_checkpoint_trains_again_what_is_recorded_and_says_nothing(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="forget"))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(desk.trial(1, does="forget"), 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 1, 2, 3]
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_a_checkpoint_that_is_an_epoch_ahead_of_what_is_recorded_tells_of_it(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(desk.trial(1), 1)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 3]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [2, 3]

    def test_a_damaged_checkpoint_costs_epochs_and_no_trial(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first:
            first.submit(first.trial(1))
            first.until(lambda: len(first.of(1)) == 2)
            first.executor.pause({1: False})
            first.until_over(1)
            first.executor.close()
        (path,) = (tmp_path / "models/checkpoints").iterdir()
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(1), 2)
            second.until_over(1)
            assert second.diary(1) == [1, 2, 1, 2, 3]
            assert [type(event) for event in second.of(1)] == [Reported, Finished]

    def test_a_checkpoint_that_does_not_fit_costs_epochs_and_no_trial(self, desk: ExecutorHarness) -> None:
        trial = desk.trial(1, does="misplace")
        desk.submit(trial)
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(trial, 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 1, 2, 3]
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_a_trial_that_does_not_repeat_itself_starts_again(self, desk: ExecutorHarness) -> None:
        trial = desk.trial(1, does="drift")
        old = Reading(1, 5.0, 5.0, seconds=0.01)
        desk.executor.submit([Placement(trial, (old, old))], None)
        desk.until_over(1)
        kinds = [type(event) for event in desk.of(1)]
        assert kinds == [Restarted, Reported, Reported, Reported, Finished]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [1, 2, 3]

    def test_what_was_decided_of_a_trial_before_it_was_interrupted_is_carried_out(
        self, desk: ExecutorHarness
    ) -> None:
        trial = desk.trial(1)
        curve = tuple(Reading(epoch, 1 / epoch, 1 / epoch, seconds=9.0) for epoch in (1, 2))
        desk.executor.submit([Placement(trial, curve)], None)
        desk.executor.stop({1: True})
        assert desk.executor.free() == self.rows
        desk.submit(*(desk.trial(number) for number in range(2, 2 + self.rows)))
        desk.until_over(1, *range(2, 2 + self.rows))
        assert desk.end(1) == Stopped(1, str(desk.folder / "models/1"))
        assert (desk.folder / "models/1/model.txt").read_text() == "trial 1, 2 epochs\n"
        assert desk.diary(1) == [1, 2]

    def test_neighbours_wait_while_a_trial_catches_up(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, epochs=10**6) as desk:
            desk.submit(*(desk.trial(number) for number in range(self.rows)))
            desk.until(lambda: desk.of(0))
            desk.executor.stop({0: False})
            desk.until_over(0)
            others = range(1, self.rows)
            before = {number: len(desk.of(number)) for number in others}
            curve = tuple(Reading(epoch, 1 / epoch, 1 / epoch) for epoch in range(1, 500))
            desk.executor.submit([Placement(desk.trial(9), curve)], None)
            desk.until(lambda: desk.of(9))
            reported = desk.of(9)[0]
            assert isinstance(reported, Reported)
            assert reported.reading.epoch == 500
            # Those in other workers do not wait for it.
            assert min(len(desk.of(number)) - before[number] for number in others) < 400

    def test_closing_writes_checkpoints_that_another_executor_goes_on_from(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first:
            first.submit(first.trial(1))
            first.until(lambda: len(first.of(1)) == 2)
            first.executor.close()
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(1), 2)
            second.until_over(1)
            assert second.diary(1) == [1, 2, 3]

    def test_closing_at_once_writes_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1))
            desk.until(lambda: desk.of(1))
            desk.executor.close(at_once=True)
            assert not (tmp_path / "models/checkpoints").exists()
