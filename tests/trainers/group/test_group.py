"""A trial on several processes: data parallel, in step, and ended as one."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tuner
from tests import processes
from tuner.api.planning import plan
from tuner.api.world import world_size
from tuner.core.job import Resources
from tuner.core.training import Failure, Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.errors import SpecError
from tuner.trainers import open_batch
from tuner.trainers.group import hang
from tuner.trainers.group.batch import GroupBatch
from tuner.trainers.group.orders import digests, joined, parted, without
from tuner.trainers.torch.data_parallel import DataParallel

pytestmark = pytest.mark.ddp

LOOPS = Path(__file__).with_name("loops.py")
SPACE = {"rate": tuner.Float(low=0.001, high=1.0, default=0.2)}
PATIENCE_S = 120.0


@pytest.fixture(scope="module", autouse=True)
def forked_ranks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        processes.fork_workers(patch)
        yield


def lost(words: str) -> NoReturn:
    raise RuntimeError(words)


def grouped(settings: Mapping[str, Any], **given: Any) -> tuple[GroupBatch, TrialBatch]:
    """A group of two, and the batch that trains the same in this process."""
    two = {**settings, "trainer.world_size": 2, "trainer.device": "cpu"}
    planned = plan(given.pop("study", None), settings=two, **given)
    group = GroupBatch(planned.make, planned.job(1, Resources(("cpu",), 1, 2)), lost)
    return group, open_batch(planned.make(), planned.job(1, Resources(("cpu",), 1)))


def curve(batch: TrialBatch, epochs: int) -> list[Outcome]:
    return [without_seconds(batch.advance()[0]) for _ in range(epochs)]


def without_seconds(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0) if isinstance(outcome, Reading) else outcome


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[GroupBatch, TrialBatch]]:
    group, alone = grouped({"trainer.epochs": 9, "trainer.rows": 1}, study="digits")
    yield group, alone
    group.close()


TRIAL = Trial(
    3,
    {
        "optimizer": "adam",
        "learning_rate": 0.003,
        "batch_size": 50,  # 1,797 rows leave an odd rest
        "width": 16,
        "activation": "tanh",
        "input_noise": 0.1,
        "class_weight": "balanced",
    },
    7,
)


def test_two_processes_learn_what_one_does_at_the_same_global_batch_and_repeat_themselves_in_a_warm_group(
    network: tuple[GroupBatch, TrialBatch],
) -> None:
    group, alone = network
    curves = []
    for batch in (alone, group, group):
        batch.place(0, TRIAL)
        curves.append(curve(batch, 4))
        if len(curves) < 3:
            batch.clear(0)
    for one, two in zip(curves[0], curves[1], strict=True):
        assert isinstance(one, Reading)
        assert isinstance(two, Reading)
        for name in ("train_loss", "val_loss", "train_score", "val_score", "grad_norm", "learning_rate"):
            np.testing.assert_allclose(one.get(name), two.get(name), atol=1e-5, err_msg=name)
    assert curves[1] == curves[2]
    state = group.snapshot(0)
    rest = curve(group, 2)
    group.clear(0)
    group.place(0, TRIAL, state)
    assert curve(group, 2) == rest
    group.clear(0)


def test_a_norm_takes_the_means_of_each_rank_s_rows_and_keeps_one_average_of_them(
    network: tuple[GroupBatch, TrialBatch],
) -> None:
    group, alone = network
    trial = replace(TRIAL, params={**TRIAL.params, "batch_norm": True})
    curves = []
    for batch in (alone, group, group):
        batch.place(0, trial)
        curves.append(curve(batch, 3))
        if len(curves) == 3:
            state = batch.snapshot(0)
            assert state is not None
            averages = [name for name in state.arrays if "running" in name]
            assert averages
            assert not [name for name in averages if name.startswith("rank ")], "ranks differ"
        batch.clear(0)
    assert curves[1] == curves[2]
    assert curves[0] != curves[1]
    for one, two in zip(curves[0], curves[1], strict=True):
        assert isinstance(one, Reading)
        assert isinstance(two, Reading)
        assert two.val_loss == pytest.approx(one.val_loss, rel=0.1)


def test_processes_that_average_their_weights_seldom_go_on_from_a_state_bit_for_bit() -> None:
    settings = {"trainer.epochs": 9, "trainer.rows": 1, "trainer.sync_every": 8}
    group, _ = grouped(settings, study="digits")
    # Both have batches of their own for norms, whose running averages are averaged, too.
    trial = replace(TRIAL, params={**TRIAL.params, "batch_norm": True})
    with closing(group):
        group.place(0, trial)
        first = curve(group, 2)
        state = group.snapshot(0)
        rest = curve(group, 2)
        group.clear(0)
        group.place(0, trial, state)
        assert curve(group, 2) == rest
    losses = [each.val_loss for each in (*first, *rest) if isinstance(each, Reading)]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4


@given(count=st.integers(1, 400), size=st.integers(1, 9))
def test_every_row_of_a_batch_is_of_one_process_and_none_has_fewer_than_is_said(
    count: int, size: int
) -> None:
    each = [DataParallel(Resources(("cpu",), 1, size, rank)) for rank in range(size)]
    parts = [range(count)[one.part(count)] for one in each]
    assert [row for part in parts for row in part] == list(range(count))
    assert {one.least(count) for one in each} == {min(map(len, parts))}
    shares = [one.share(one.part(count), count) for one in each]
    assert sum(shares) == pytest.approx(1)


def test_whether_a_trial_trains_on_all_cores_is_measured_and_told() -> None:
    planned = plan("digits", settings={"trainer.world_size": "auto", "trainer.device": "cpu"})
    assert world_size(planned, ("cpu",), 1) == (1, "there is one device")
    size, told = world_size(planned, ("cpu",), 2)
    assert size in (1, 2)
    assert re.fullmatch(
        r"measured [\d.,]+ epochs a second of 2 trials on one process each, [\d.,]+ of one on 2", told
    )


@pytest.fixture(scope="module")
def loop() -> Iterator[GroupBatch]:
    group, _ = grouped({}, trainer=f"{LOOPS}:fails", space=SPACE)
    yield group
    group.close()


def outcomes(group: GroupBatch, rate: float) -> Sequence[Outcome]:
    group.place(0, Trial(0, {"rate": rate}, 1))
    found = [group.advance()[0] for _ in range(2)]
    group.clear(0)
    return found


def test_a_rank_that_raises_ends_the_trial_and_the_next_one_trains(loop: GroupBatch) -> None:
    first, second = outcomes(loop, 0.9)
    assert isinstance(first, Reading)
    assert first.val_loss == 0.5
    assert isinstance(second, Failure)
    assert second.error == "rank 1 of 2: ValueError: this rank is at fault"
    assert "loops.py" in second.traceback
    assert all(isinstance(each, Reading) and each.val_loss == 0.5 for each in outcomes(loop, 0.2))


def test_a_rank_whose_memory_runs_out_ends_the_trial_in_those_words_and_the_next_one_trains(
    loop: GroupBatch,
) -> None:
    _, raised = outcomes(loop, 0.4)
    assert isinstance(raised, Failure)
    assert raised.error == "rank 1 of 2: MemoryError: 8 GiB more"
    with pytest.raises(RuntimeError, match=r"rank 1 of 2 was killed by SIGKILL \(.* memory running out\)"):
        outcomes(loop, 0.3)
    loop.clear(0)
    assert all(isinstance(each, Reading) for each in outcomes(loop, 0.2))


def test_a_rank_that_has_nothing_more_to_train_while_the_first_one_has_is_told(loop: GroupBatch) -> None:
    _, second = outcomes(loop, 0.01)
    assert isinstance(second, Failure)
    assert second.error == "rank 1 of 2 ended before rank 0; let all train as many epochs"


def test_states_of_ranks_are_joined_and_parted_again_and_what_is_the_same_is_kept_once() -> None:
    shared = np.arange(6.0).reshape(2, 3)
    states = [Snapshot(4, {"w": shared, "own": np.full(2, rank)}, {"at": rank}) for rank in range(3)]
    known = digests(states[0])
    whole = joined(states[0], [without(each, known) for each in states[1:]])
    assert sorted(whole.arrays) == ["own", "rank 1/own", "rank 2/own", "w"]
    for size in (2, 3, 4):
        for rank, part in enumerate(parted(whole, size)):
            assert part is not None
            wanted = states[rank if rank < 3 else 0]
            assert (part.epoch, part.facts) == (4, wanted.facts)
            assert {n: a.tolist() for n, a in part.arrays.items()} == {
                n: a.tolist() for n, a in wanted.arrays.items()
            }
    plain = Snapshot(1, {"w": shared})
    assert parted(plain, 2) == [plain, plain]
    assert parted(None, 2) == [None, None]


def settings() -> dict[str, Any]:
    return {
        "trainer.world_size": 2,
        "trainer.epochs": 6,
        "trainer.workers": 1,
        "trainer.restarts": 9,
        "trainer.repeats": 2,
        "search.pruner": "asha",
        "stop.epoch_seconds": 12,
    }


def start() -> Any:
    """A study of `loops.py` in the working folder."""
    return tuner.start(trainer="./loops.py:train", name="s", space=SPACE, trials=4, settings=settings())


def stored(study: Any) -> list[Any]:
    return [(n, [astuple(replace(r, seconds=0.0)) for r in rs]) for n, rs in sorted(study.readings().items())]


def gone(folder: Path) -> bool:
    return not any(Path(f"/proc/{path.name}").exists() for path in folder.glob("pids/*"))


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_ranks_ranks_that_hang_and_a_killed_driver_cost_no_trial_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("peace", "trouble"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "loops.py").write_text(LOOPS.read_text())
    monkeypatch.chdir(tmp_path / "peace")
    peace = stored(start())
    assert len({len(readings) for _, readings in peace}) > 1, "some are pruned"

    trouble = tmp_path / "trouble"
    for flag in ("kill 1", "hang 2"):
        (trouble / flag).touch()
    monkeypatch.chdir(trouble)
    code = "import tuner; from tests.trainers.group.test_group import start; start()"
    environment = {**os.environ, "PYTHONPATH": str(LOOPS.parents[3])}
    driver = processes.start("-c", code, env=environment)
    wait_until(lambda: not (trouble / "hang 2").exists() or driver.poll() is not None)
    assert not (trouble / "kill 1").exists()
    driver.send_signal(signal.SIGKILL)  # while a rank stands still, which must end, too
    driver.wait()
    wait_until(partial(gone, trouble))

    (trouble / "hang 3").touch()  # until the epoch is overdue
    assert stored(tuner.resume("s")) == peace
    assert not (trouble / "hang 3").exists()
    wait_until(partial(gone, trouble))


@pytest.mark.skipif(sys.platform != "linux", reason="what a process computes is read from /proc")
def test_a_rank_that_hangs_while_another_waits_for_it_is_given_up_without_a_limit_for_epochs(
    loop: GroupBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.place(0, Trial(0, {"rate": 0.2}, 1))
    assert isinstance(loop.advance()[0], Reading)
    os.kill(loop._ranks[1].process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(hang, "SILENT_S", 1.0)
        with pytest.raises(RuntimeError, match="rank 1 of 2 hangs: others wait"):
            loop.advance()
    loop.clear(0)
    assert all(isinstance(each, Reading) for each in outcomes(loop, 0.2))


def test_what_cannot_train_on_several_processes_is_refused() -> None:
    cases = {
        "trainer.use": ("sklearn", "the trainer 'sklearn' trains in one process"),
        "trainer.rows": (4, "rows: 4 beside world_size"),
    }
    for key, (value, words) in cases.items():
        with pytest.raises(SpecError, match=words):
            plan("digits", settings={"trainer.world_size": 2, key: value})
    with pytest.raises(SpecError, match="sync_every: nothing is to be averaged"):
        plan("digits", settings={"trainer.sync_every": 2})
