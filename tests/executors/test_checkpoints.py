"""Checkpoints come back bit for bit, or as the one before, or not at all; never as something else."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tuner.core.training import Snapshot
from tuner.core.trial import Trial
from tuner.executors.checkpoints import Checkpoints
from tuner.testing.executor import artifacts

TRIAL = Trial(7, {"x": 0.5, "optimizer": "adam"}, study_seed=3)
DTYPES = ["<f2", "<f4", "<f8", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "?"]
ARRAYS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0))
    ),
    max_size=4,
)
FACTS = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
)


@functools.cache
def state(epoch: int) -> Snapshot:
    """What a row might hold after an epoch."""
    numbers = np.random.default_rng(epoch)
    weights = {"weights": numbers.normal(size=(3, 4)).astype("f4"), "stream": numbers.integers(0, 2**63, 5)}
    return Snapshot(epoch, weights, {"best": epoch - 1, "rate": 0.1 * epoch})


def told(snapshot: Snapshot | None) -> object:
    """A snapshot with all its bits."""
    if snapshot is None:
        return None
    held = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in snapshot.arrays.items()}
    return snapshot.epoch, held, repr(snapshot.facts)


def checkpoints_in(folder: Path, *, synced: bool = False) -> Checkpoints:
    return Checkpoints(artifacts(folder.parent, synced=synced))


def files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}


def holder(folder: Path, epoch: int) -> Path:
    """The file with the checkpoint of an epoch."""
    for path in folder.iterdir():
        others = [other for other in folder.iterdir() if other != path]
        with TemporaryDirectory() as name:
            for other in others:
                shutil.move(other, name)
            found = checkpoints_in(folder).read(TRIAL, 99)
            for other in others:
                shutil.move(Path(name) / other.name, folder)
        if found is not None and found.epoch == epoch:
            return path
    raise AssertionError(f"no file has epoch {epoch}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "checkpoints"


@given(ARRAYS, FACTS)
def test_a_snapshot_comes_back_bit_for_bit(found: dict[str, np.ndarray[Any, Any]], facts: Any) -> None:
    snapshot = Snapshot(4, found, facts)
    with TemporaryDirectory() as name:
        assert checkpoints_in(Path(name) / "checkpoints").write(TRIAL, snapshot)
        assert told(checkpoints_in(Path(name) / "checkpoints").read(TRIAL, 4)) == told(snapshot)


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_what_is_no_number_comes_back_as_it_was(folder: Path, dtype: str) -> None:
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.0], dtype)
    snapshot = Snapshot(1, {"odd": odd, "empty": np.zeros((0, 3), dtype)}, {"best": float("inf")})
    checkpoints_in(folder).write(TRIAL, snapshot)
    assert told(checkpoints_in(folder).read(TRIAL, 1)) == told(snapshot)


@pytest.mark.parametrize(
    "laid", [lambda a: np.asfortranarray(a), lambda a: a.T, lambda a: a[::2, ::-1], lambda a: a[:, 1]]
)
def test_however_an_array_lies_in_memory_its_numbers_come_back(
    folder: Path, laid: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> None:
    array = laid(np.arange(12.0).reshape(4, 3))
    checkpoints_in(folder).write(TRIAL, Snapshot(1, {"array": array}))
    found = checkpoints_in(folder).read(TRIAL, 1)
    assert found is not None
    np.testing.assert_array_equal(found.arrays["array"], array)


def test_the_newest_of_two_is_read_and_the_older_one_replaced(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    for epoch in range(1, 8):
        assert checkpoints.write(TRIAL, state(epoch))
        assert told(checkpoints_in(folder).read(TRIAL, 99)) == told(state(epoch))
        assert set(files(folder)) == {"7.a", "7.b"} if epoch > 1 else {"7.a"}
    assert told(checkpoints_in(folder).read(TRIAL, 6)) == told(state(6))
    assert checkpoints_in(folder).read(TRIAL, 5) is None


def damaged(epochs: int, damage: Callable[[Path], None]) -> tuple[object, object]:
    """What is read when the newest of some checkpoints is damaged, and after one more is written."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "checkpoints"
        checkpoints = checkpoints_in(folder)
        for epoch in range(1, epochs + 1):
            checkpoints.write(TRIAL, state(epoch))
        damage(holder(folder, epochs))
        found = told(checkpoints_in(folder).read(TRIAL, 99))
        # Whatever lies there, a worker goes on and writes its own.
        assert checkpoints_in(folder).write(TRIAL, state(epochs + 1))
        return found, told(checkpoints_in(folder).read(TRIAL, 99))


@given(st.data())
def test_of_a_torn_newest_checkpoint_nothing_is_taken_and_the_one_before_is(data: st.DataObject) -> None:
    def tear(path: Path) -> None:
        text = path.read_bytes()
        path.write_bytes(text[: data.draw(st.integers(0, len(text) - 1), "cut off after")])

    assert damaged(3, tear) == (told(state(2)), told(state(4)))


@given(st.data())
def test_a_flipped_bit_anywhere_is_seen_and_the_one_before_is_taken(data: st.DataObject) -> None:
    def flip(path: Path) -> None:
        text = bytearray(path.read_bytes())
        text[data.draw(st.integers(0, len(text) - 1), "byte")] ^= 1 << data.draw(st.integers(0, 7), "bit")
        path.write_bytes(text)

    assert damaged(3, flip) == (told(state(2)), told(state(4)))


def test_every_bit_of_a_header_may_flip() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "checkpoints"
        checkpoints_in(folder).write(TRIAL, state(1))
        (path,) = folder.iterdir()
        sound = path.read_bytes()
        for bit in range(32 * 8, 32 * 8 + 260 * 8, 3):
            text = bytearray(sound)
            text[bit // 8] ^= 1 << bit % 8
            path.write_bytes(text)
            assert checkpoints_in(folder).read(TRIAL, 9) is None
            assert checkpoints_in(folder).write(TRIAL, state(2)), f"bit {bit}"
            assert told(checkpoints_in(folder).read(TRIAL, 9)) == told(state(2))
            for other in folder.iterdir():
                other.unlink()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_other_files_in_its_places_are_replaced(a: bytes, b: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "checkpoints"
        folder.mkdir()
        (folder / "7.a").write_bytes(a)
        (folder / "7.b").write_bytes(b)
        assert checkpoints_in(folder).read(TRIAL, 9) is None
        assert checkpoints_in(folder).write(TRIAL, state(1))
        assert told(checkpoints_in(folder).read(TRIAL, 9)) == told(state(1))


def test_a_damaged_one_is_told_of_by_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = checkpoints_in(folder)
    checkpoints.write(TRIAL, state(1))
    checkpoints.write(TRIAL, state(2))
    path = holder(folder, 2)
    path.write_bytes(path.read_bytes()[:-1])
    assert told(checkpoints.read(TRIAL, 2)) == told(state(1))
    (told_of,) = [record.getMessage() for record in caplog.records]
    assert str(path) in told_of
    assert "its checksum does not fit; trying the one before it" in told_of


def test_with_both_places_damaged_the_trial_has_none(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    for epoch in (1, 2):
        checkpoints.write(TRIAL, state(epoch))
    for path in folder.iterdir():
        text = path.read_bytes()
        path.write_bytes(text[:-1] + bytes([text[-1] ^ 1]))
    assert checkpoints.read(TRIAL, 2) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, number=8),
        replace(TRIAL, study_seed=4),
        replace(TRIAL, params={**TRIAL.params, "x": 0.25}),
    ],
)
def test_a_file_of_another_trial_is_not_taken(folder: Path, other: Trial) -> None:
    checkpoints_in(folder).write(other, state(5))
    (path,) = folder.iterdir()
    path.rename(folder / "7.a")
    assert checkpoints_in(folder).read(TRIAL, 9) is None
    # A study that was deleted and begun again: its own first checkpoint takes the stranger's place.
    checkpoints_in(folder).write(TRIAL, state(1))
    checkpoints_in(folder).write(TRIAL, state(2))
    assert told(checkpoints_in(folder).read(TRIAL, 9)) == told(state(2))
    assert told(checkpoints_in(folder).read(TRIAL, 1)) == told(state(1))


def test_one_that_is_ahead_of_the_record_is_neither_taken_nor_kept(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    checkpoints.write(TRIAL, state(3))
    checkpoints.write(TRIAL, state(5))
    assert told(checkpoints.read(TRIAL, 4)) == told(state(3))
    # The trial goes on from 3: its next one must not cost the last good one.
    checkpoints.write(TRIAL, state(4))
    assert told(checkpoints.read(TRIAL, 4)) == told(state(4))
    assert told(checkpoints.read(TRIAL, 3)) == told(state(3))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kilobytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("synced", [False, True])
def test_a_full_disk_costs_the_new_checkpoint_and_not_the_old_one(
    small_disk: Path, caplog: pytest.LogCaptureFixture, synced: bool
) -> None:
    checkpoints = checkpoints_in(small_disk / "checkpoints", synced=synced)
    assert checkpoints.write(TRIAL, state(1))
    large = Snapshot(2, {"weights": np.ones(100_000)})
    assert not checkpoints.write(TRIAL, large)
    assert not checkpoints.write(TRIAL, large)
    assert len(caplog.records) == 1, "it is said again and again"
    assert "no checkpoint of trial 7 was written: [Errno 28] No space left on device" in caplog.text
    assert set(files(small_disk / "checkpoints")) == {"7.a"}, "half a checkpoint fills the disk"
    assert told(checkpoints.read(TRIAL, 2)) == told(state(1))
    assert checkpoints.write(TRIAL, state(2))
    assert told(checkpoints.read(TRIAL, 2)) == told(state(2))
    assert not checkpoints.write(TRIAL, large)
    assert len(caplog.records) == 2, "the disk had room and is full anew"


def test_where_no_folder_can_be_trials_go_on_without_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    checkpoints = checkpoints_in(tmp_path / "models" / "checkpoints")
    assert not checkpoints.write(TRIAL, state(1))
    assert checkpoints.read(TRIAL, 1) is None
    checkpoints.drop(7)


def test_what_is_kept_in_memory_is_read_once_and_written_by_the_next_flush(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    checkpoints.keep(TRIAL, state(1))
    checkpoints.keep(replace(TRIAL, number=8), state(2))
    assert not folder.exists()
    assert checkpoints.read(TRIAL, 1) is state(1)
    assert checkpoints.read(TRIAL, 1) is None
    checkpoints.flush()
    assert set(files(folder)) == {"8.a"}
    checkpoints.keep(TRIAL, state(3))
    checkpoints.drop(7)
    checkpoints.flush()
    assert set(files(folder)) == {"8.a"}


def test_what_is_kept_in_memory_and_ahead_of_the_record_is_not_taken(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    checkpoints.write(TRIAL, state(1))
    checkpoints.keep(TRIAL, state(3))
    assert told(checkpoints.read(TRIAL, 2)) == told(state(1))


@given(st.lists(st.tuples(st.sampled_from(["keep", "write", "flush", "read"]), st.integers(0, 9))))
def test_a_trial_never_has_more_than_two_files_and_none_once_it_is_dropped(
    steps: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "checkpoints"
        checkpoints = checkpoints_in(folder)
        for step, epoch in steps:
            match step:
                case "keep":
                    checkpoints.keep(TRIAL, state(epoch))
                case "write":
                    checkpoints.write(TRIAL, state(epoch))
                case "flush":
                    checkpoints.flush()
                case "read":
                    found = checkpoints.read(TRIAL, epoch)
                    assert found is None or found.epoch <= epoch
            assert set(files(folder)) <= {"7.a", "7.b"}
        checkpoints.drop(7)
        checkpoints.flush()
        assert not files(folder)


def test_what_a_killed_process_left_half_written_goes_with_its_trial(folder: Path) -> None:
    checkpoints = checkpoints_in(folder)
    checkpoints.write(TRIAL, state(1))
    (folder / ".writing-7").write_bytes(b"half")
    (folder / ".writing-70").write_bytes(b"of another trial")
    checkpoints.drop(7)
    assert set(files(folder)) == {".writing-70"}


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is synced and renamed from now on, in order; all of it really is."""
    done: list[tuple[str, str]] = []
    fsync, rename = os.fsync, Path.replace

    def sync(handle: int) -> None:
        done.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().name))
        assert os.fstat(handle).st_size > 0, "what is synced is not handed to the system yet"
        fsync(handle)

    def replaced(path: Path, target: Path) -> Path:
        done.append(("rename", target.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replaced)
    return done


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files are not told here")
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_durable_checkpoint_is_on_the_disk_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    checkpoints = checkpoints_in(tmp_path / "models" / "checkpoints", synced=durability == "full")
    checkpoints.write(replace(TRIAL, number=8), state(1))
    done = watched(monkeypatch)
    assert checkpoints.write(TRIAL, state(1))
    checkpoints.keep(TRIAL, state(2))
    checkpoints.flush()
    expected = []
    for name in ("7.a", "7.b"):
        whole = [("sync", ".writing-7"), ("rename", name), ("sync", "checkpoints")]
        expected += whole if durability == "full" else [("rename", name)]
    assert done == expected


def test_no_pickle_is_read(folder: Path) -> None:
    with pytest.raises(Exception, match=r"dtype|object|O"):
        checkpoints_in(folder).write(TRIAL, Snapshot(1, {"anything": np.array([{}, object()])}))
    known: Mapping[str, Path] = files(folder) if folder.exists() else {}
    assert not known
