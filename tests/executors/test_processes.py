"""Processes: the contract, and workers that die, print, hang or never start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tuner.artifacts import Artifacts
from tuner.core.events import Failed, Finished, Interrupted, Reported, Stopped
from tuner.core.job import Job, Resources
from tuner.core.ports import Executor
from tuner.core.training import Snapshot, Trainer, TrialBatch
from tuner.errors import PluginError
from tuner.executors import Processes
from tuner.executors.checkpoints import Checkpoints
from tuner.testing.executor import ExecutorContract, ExecutorHarness, FakeTrainer, artifacts, study


@pytest.mark.usefixtures("forked_workers")
class TestProcesses(ExecutorContract):
    rows = 4

    def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
        return Processes(make, job, artifacts, resources=[Resources()] * 2)


@pytest.mark.usefixtures("forked_workers")
class TestProcessesThatTrainAhead(ExecutorContract):
    rows = 4

    def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
        return Processes(make, job, artifacts, resources=[Resources()] * 2, ahead_s=5.0)


@contextlib.contextmanager
def opened(
    folder: Path,
    make: Callable[[], Trainer] = FakeTrainer,
    workers: int = 1,
    restarts: int = 2,
    rows: int = 1,
) -> Iterator[ExecutorHarness]:
    made = Processes(
        make,
        Job(study(), None, rows=rows),
        artifacts(folder / "models"),
        [Resources()] * workers,
        restarts=restarts,
    )
    with contextlib.closing(made):
        yield ExecutorHarness(made, folder)


def ready(desk: ExecutorHarness, rows: int = 1) -> ExecutorHarness:
    desk.until(lambda: desk.executor.free() == rows)
    return desk


@pytest.mark.parametrize(
    ("does", "words"), [("die", "was killed by SIGKILL"), ("exit", "ended with exit code 3")]
)
def test_the_trial_of_a_worker_that_died_goes_on_with_another(tmp_path: Path, does: str, words: str) -> None:
    with opened(tmp_path) as desk:
        ready(desk).submit(desk.trial(1, does=does, at=2, once=True))
        desk.until_over(1)
        assert [type(event) for event in desk.of(1)] == [
            Reported,
            Interrupted,
            Reported,
            Reported,
            Finished,
        ]
        interrupted = desk.of(1)[1]
        assert isinstance(interrupted, Interrupted)
        assert words in interrupted.reason
        assert desk.diary(1) == [1, 2, 1, 2, 3]


def test_a_trial_whose_workers_keep_dying_fails_at_last_with_what_they_said(tmp_path: Path) -> None:
    with opened(tmp_path, restarts=1) as desk:
        ready(desk).submit(desk.trial(1, does="die", at=1))
        desk.until_over(1)
        assert [type(event) for event in desk.of(1)] == [Interrupted, Failed]
        failed = desk.end(1)
        assert isinstance(failed, Failed)
        assert "was killed by SIGKILL" in failed.error
        assert failed.error.endswith("a bead complains")
        assert failed.traceback == "\n".join(["a bead moves", "a bead complains"] * 2)
        ready(desk).submit(desk.trial(2))
        desk.until_over(2)
        assert isinstance(desk.end(2), Finished)


def test_the_neighbours_of_a_trial_that_kills_its_worker_finish(tmp_path: Path) -> None:
    with opened(tmp_path, rows=4, restarts=1) as desk:
        ready(desk, 4).submit(*(desk.trial(n) for n in range(3)), desk.trial(3, does="exit", at=2))
        desk.until_over(0, 1, 2, 3)
        assert [type(desk.end(n)) for n in range(4)] == [Finished, Finished, Finished, Failed]
        assert all(sum(isinstance(e, Interrupted) for e in desk.of(n)) == 1 for n in range(4))


def test_the_other_worker_goes_on_while_one_is_replaced(tmp_path: Path) -> None:
    with opened(tmp_path, workers=2) as desk:
        ready(desk, 2).submit(desk.trial(1, does="die", at=1, once=True), desk.trial(2))
        desk.until_over(1, 2)
        assert isinstance(desk.end(1), Finished)
        assert [type(event) for event in desk.of(2)] == [Reported, Reported, Reported, Finished]


def test_a_trial_that_was_told_to_stop_is_stopped_even_if_its_worker_dies(tmp_path: Path) -> None:
    with opened(tmp_path, rows=2) as desk:
        ready(desk, 2).submit(desk.trial(1), desk.trial(2, does="die", at=2, once=True))
        desk.until(lambda: desk.of(1))
        desk.executor.stop({1: True})
        desk.until_over(1, 2)
        assert desk.end(1) == Stopped(1, None)
        assert isinstance(desk.end(2), Finished)


def test_no_checkpoint_is_left_of_a_trial_whose_worker_died_before_it_could_stop_it(tmp_path: Path) -> None:
    with opened(tmp_path, rows=2) as desk:
        ready(desk, 2).submit(desk.trial(1), desk.trial(2))
        desk.until(lambda: desk.of(1))
        checkpoints = checkpoint_of(desk, 1)
        assert isinstance(desk.executor, Processes)
        desk.executor._workers[0].link.kill()
        desk.executor.stop({1: False})
        desk.until_over(1, 2)
        assert desk.end(1) == Stopped(1)
        assert not list(checkpoints.iterdir())


def test_no_checkpoint_is_left_of_a_trial_whose_worker_died_too_often(tmp_path: Path) -> None:
    with opened(tmp_path, restarts=0) as desk:
        checkpoints = checkpoint_of(desk, 1)
        ready(desk).submit(desk.trial(1, does="die", at=1))
        desk.until_over(1)
        assert isinstance(desk.end(1), Failed)
        assert not list(checkpoints.iterdir())


def checkpoint_of(desk: ExecutorHarness, number: int) -> Path:
    """Write one of a trial's first epoch; the folder of all of them."""
    files = artifacts(desk.folder / "models")
    assert Checkpoints(files).write(desk.trial(number), Snapshot(1, {"beads": np.ones(1)}, {"trial": number}))
    return files.path(number, "a").parent


def test_a_slow_worker_does_not_hold_up_the_other(tmp_path: Path) -> None:
    with opened(tmp_path, workers=2) as desk:
        ready(desk, 2).submit(desk.trial(1, does="sleep", at=1), desk.trial(2))
        desk.until_over(2)
        assert desk.of(1) == []
        begun = time.monotonic()
        assert desk.executor.poll(0.05) == []
        assert time.monotonic() - begun >= 0.05


def test_the_queue_is_spread_over_the_workers(tmp_path: Path) -> None:
    with opened(tmp_path, workers=2, rows=4) as desk:
        ready(desk, 8).submit(desk.trial(1, does="sleep", at=1), desk.trial(2))
        desk.until_over(2)


def test_a_worker_that_hangs_is_ended_and_its_trial_goes_on_elsewhere(tmp_path: Path) -> None:
    spec = study(stop={"epoch_seconds": 0.5})
    # A busy machine may take that long for any epoch, so it may happen again.
    made = Processes(
        FakeTrainer, Job(spec, None), artifacts(tmp_path / "models"), resources=[Resources()], restarts=99
    )
    with contextlib.closing(made):
        desk = ready(ExecutorHarness(made, tmp_path))
        desk.submit(desk.trial(1, does="sleep", at=2, once=True))
        desk.until_over(1)
        assert isinstance(desk.end(1), Finished)
        interrupted = [event.reason for event in desk.of(1) if isinstance(event, Interrupted)]
        assert interrupted
        assert all("took longer than 0.5 seconds" in reason for reason in interrupted)


def test_ordered_workers_answer_together_in_the_order_of_trials(tmp_path: Path) -> None:
    made = Processes(
        FakeTrainer,
        Job(study(), None, rows=2),
        artifacts(tmp_path / "models"),
        resources=[Resources()] * 2,
        ordered=True,
    )
    with contextlib.closing(made):
        desk = ready(ExecutorHarness(made, tmp_path), 4)
        desk.submit(*(desk.trial(number) for number in range(3)))
        turns = []
        while not all(desk.end(number) for number in range(3)):
            if events := list(made.poll(1.0)):
                turns.append([event.number for event in events])
                desk.events += events
        assert turns == [[0, 1, 2], [0, 1, 2], [0, 0, 1, 1, 2, 2]]


def test_no_ordered_worker_gets_a_trial_before_the_others_have_answered(tmp_path: Path) -> None:
    made = Processes(
        FakeTrainer,
        Job(study(epochs=1), None),
        artifacts(tmp_path / "models"),
        resources=[Resources()] * 2,
        ordered=True,
    )
    try:
        desk = ready(ExecutorHarness(made, tmp_path), 2)
        desk.submit(desk.trial(0), desk.trial(1, does="sleep", at=1))
        desk.until(lambda: desk.diary(0) and desk.diary(1))
        for _ in range(3):
            assert list(made.poll(0.1)) == []
            assert made.free() == 0
    finally:
        made.close(at_once=True)


@pytest.mark.parametrize(("restarts", "deaths"), [(2, 1), (1, 2)])
def test_the_death_of_an_ordered_worker_changes_no_order(tmp_path: Path, restarts: int, deaths: int) -> None:
    made = Processes(
        FakeTrainer,
        Job(study(), None),
        artifacts(tmp_path / "models"),
        resources=[Resources()] * 2,
        restarts=restarts,
        ordered=True,
    )
    with contextlib.closing(made):
        desk = ready(ExecutorHarness(made, tmp_path), 2)
        desk.submit(desk.trial(0, does="exit", at=2, once=deaths == 1), desk.trial(1))
        turns = []
        while not all(desk.end(number) for number in range(2)):
            if events := list(made.poll(1.0)):
                turns.append([(event.number, type(event)) for event in events])
                desk.events += events
        end = [(1, Reported), (1, Finished)]
        if deaths == 1:
            again = [(0, Interrupted), (0, Reported), (1, Reported)]
            assert turns[1:] == [again, [(0, Reported), (0, Finished), *end]]
        else:
            assert turns[1:] == [[(0, Interrupted), (0, Failed), (1, Reported)], end]


def test_what_trials_print_stays_out_of_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path) as desk:
        ready(desk).submit(desk.trial(1))
        desk.until_over(1)
    assert capfd.readouterr() == ("", "")


def test_what_trials_print_does_not_fill_the_disk(tmp_path: Path) -> None:
    class Chatty(FakeTrainer):
        def open_batch(self, job: Job) -> TrialBatch:
            sys.stdout.write("x" * 3_000_000)
            sys.stdout.flush()
            return super().open_batch(job)

    with opened(tmp_path, Chatty, restarts=0) as desk:
        ready(desk).submit(desk.trial(1, does="exit", at=2))
        desk.until_over(1)
        failed = desk.end(1)
        assert isinstance(failed, Failed)
        assert len(failed.traceback) <= 4_000


def test_an_error_of_the_users_file_is_raised_as_it_is(tmp_path: Path) -> None:
    def make() -> Trainer:
        raise PluginError("./mine.py: cannot be run: NameError: name 'foo' is not defined")

    with (
        opened(tmp_path, make, workers=2) as desk,
        pytest.raises(PluginError, match="'foo' is not defined") as caught,
    ):
        ready(desk)
    assert "in make" in "".join(caught.value.__notes__)


def test_an_error_that_cannot_be_sent_is_told_in_words(tmp_path: Path) -> None:
    def make() -> Trainer:
        error = ValueError("with a lock in it")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    with opened(tmp_path, make) as desk, pytest.raises(PluginError, match="ValueError: with a lock in it"):
        ready(desk)


def test_a_trainer_that_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    lock = threading.Lock()

    def make() -> Trainer:
        with lock:
            return FakeTrainer()

    with pytest.raises(PluginError, match=r"cannot be sent to worker processes: .*lock.*inline"):
        Processes(make, Job(study(), None), artifacts(tmp_path), resources=[Resources()])


def test_workers_that_die_while_they_start_are_not_replaced_for_ever(tmp_path: Path) -> None:
    starts = tmp_path / "starts"

    def make() -> Trainer:
        with starts.open("a") as file:
            file.write("again\n")
        os._exit(7)

    with (
        opened(tmp_path, make, restarts=1) as desk,
        pytest.raises(PluginError, match="exit code 7 while it started"),
    ):
        ready(desk)
    assert starts.read_text() == "again\nagain\n"


def test_each_worker_has_resources_of_its_own_and_its_successor_has_them_too(tmp_path: Path) -> None:
    class Curious(FakeTrainer):
        def open_batch(self, job: Job) -> TrialBatch:
            with (tmp_path / "seen").open("a") as file:
                file.write(f"{','.join(job.resources.devices)} {os.environ['OMP_NUM_THREADS']}\n")
            return super().open_batch(job)

    given = [Resources(("cuda:0", "cuda:1"), 1), Resources(("cuda:2", "cuda:3"), 2)]
    with contextlib.closing(
        Processes(Curious, Job(study(), None), artifacts(tmp_path / "models"), given)
    ) as executor:
        desk = ready(ExecutorHarness(executor, tmp_path), rows=2)
        for number in (1, 2):
            desk.submit(desk.trial(number, does="die", at=2, once=True))
        desk.until(lambda: len((tmp_path / "seen").read_text().splitlines()) == 4)
    seen = (tmp_path / "seen").read_text().splitlines()
    assert sorted(seen) == ["cuda:0,cuda:1 1"] * 2 + ["cuda:2,cuda:3 2"] * 2


def test_workers_get_their_threads_and_ignore_the_terminals_interrupt(tmp_path: Path) -> None:
    class Curious(FakeTrainer):
        def open_batch(self, job: Job) -> TrialBatch:
            ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            (tmp_path / "seen").write_text(
                f"{os.environ['OMP_NUM_THREADS']} {ignored} {sys.path[-1]} {Path.cwd()}"
            )
            return super().open_batch(job)

    job = Job(study(), None)
    sys.path.append("/of/the/parent")
    try:
        with contextlib.closing(
            Processes(Curious, job, artifacts(tmp_path), resources=[Resources(threads=3)])
        ) as executor:
            ready(ExecutorHarness(executor, tmp_path))
    finally:
        sys.path.pop()
    assert (tmp_path / "seen").read_text() == f"3 True /of/the/parent {Path.cwd()}"


SCRIPT = """
from pathlib import Path
from tuner.testing.executor import FakeTrainer, artifacts, study
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.trial import Trial
from tuner.executors import Processes
from tuner.executors.checkpoints import Checkpoints

class Mine(FakeTrainer):
    def open_batch(self, job):
        import os
        Path("pid").write_text(str(os.getpid()))
        return super().open_batch(job)

executor = Processes(Mine, Job(study(), None), artifacts(Path("models")), resources=[Resources()])
while not executor.free():
    executor.poll(0.1)
"""


def script(folder: Path, rest: str) -> subprocess.Popen[str]:
    """Run a script without `if __name__ == "__main__"` in a process of its own."""
    (folder / "script.py").write_text(SCRIPT + textwrap.dedent(rest))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "script.py"], cwd=folder, stdout=subprocess.PIPE, text=True, env=environment
    )


def test_a_plain_script_needs_no_main_guard(tmp_path: Path) -> None:
    with script(
        tmp_path,
        """
        executor.submit([Placement(Trial(1, {"diary": "diary-1"}, 0))], None)
        events = []
        while len(events) < 4:
            events += executor.poll(1.0)
        executor.close()
        print([type(event).__name__ for event in events])
        """,
    ) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.strip() == "['Reported', 'Reported', 'Reported', 'Finished']"


def test_workers_end_when_their_parent_is_killed_even_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    with script(
        tmp_path,
        """
        executor.submit([Placement(Trial(1, {"diary": "diary-1", "does": "sleep", "at": 1}, 0))], None)
        executor.poll(0.0)
        print("polled", flush=True)
        executor.poll(600)
        """,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "polled\n"
        worker = int((tmp_path / "pid").read_text())
        assert alive(worker)
        process.kill()
    deadline = time.monotonic() + 60
    while alive(worker):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)


def test_closing_ends_a_worker_that_is_busy(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        ready(desk).submit(desk.trial(1, does="sleep", at=1))
        desk.until(lambda: desk.diary(1))
        desk.executor.close()
        assert desk.executor.free() == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
