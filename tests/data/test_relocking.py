"""A row that was locked once never trains, and one that trained is never tested on, whatever changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, FingerprintCheck
from tuner.data import load, locked
from tuner.errors import DataError

WAYS: dict[str, dict[str, Any]] = {
    "random": {},
    "folds": {"folds": 3},
    "group": {"split": "group", "group": "who"},
    "time": {"split": "time", "time": "when"},
}


def table(rows: int = 60, first: int = 0) -> pd.DataFrame:
    """Rows that differ in `a`."""
    rng = np.random.default_rng(first)
    number = np.arange(first, first + rows)
    return pd.DataFrame(
        {
            "a": number.astype(np.float64),
            "b": rng.normal(size=rows).round(3),
            "who": [f"p{n // 3}" for n in number],
            "when": number,
            "y": rng.choice(["no", "yes"], rows),
        }
    )


def spec(way: str) -> DataSpec:
    return DataSpec(source="memory", **WAYS[way])


def read(frame: pd.DataFrame, way: str, before: bytes | None = None) -> Dataset:
    """The data as a study that allows every change reads it."""
    check = FingerprintCheck(before, lambda _: None)
    return from_arrays(frame.drop(columns="y"), frame["y"], spec(way), resampling=True, check=check)


def used(data: Dataset) -> set[float]:
    """The values of `a` in training and validation, in every fold and every draw."""
    assert data.resampling is not None
    drawn = [data, data.resampling.draw(1)]
    return {float(a) for each in drawn for split in (each.train, each.validation) for a in split.x[:, 0]}


def opened(frame: pd.DataFrame, way: str, data: Dataset) -> set[float]:
    pair = frame.drop(columns="y"), frame["y"]
    x: Any = locked.unlock(spec(way), Path(), pair, data.fingerprint).x
    return {float(a) for a in x["a"]}


EDITS = st.lists(
    st.sampled_from(["shuffle", "drop", "append", "insert", "copies", "relabel", "edit", "column", "type"]),
    min_size=1,
    max_size=4,
)


def edited(frame: pd.DataFrame, edit: str, chance: np.random.Generator) -> pd.DataFrame:
    some = chance.permutation(len(frame))[:5]
    match edit:
        case "shuffle":
            return frame.iloc[chance.permutation(len(frame))]
        case "drop":
            return frame.drop(index=frame.index[some])
        case "append":
            return pd.concat([frame, table(9, int(chance.integers(100, 10**6)))])
        case "insert":
            more = table(4, int(chance.integers(100, 10**6)))
            return pd.concat([frame[:7], more, frame[7:]])
        case "copies":
            return pd.concat([frame, frame.iloc[some]])
        case "relabel":
            return frame.assign(y=np.where(frame.y == "yes", "no", "yes"))
        case "edit":
            b = frame.b.to_numpy().copy()
            b[some] += 1
            return frame.assign(b=b)
        case "column":
            return frame.assign(**{f"c{len(frame.columns)}": 1.0})
    return frame.assign(when=frame.when.astype(np.float64))


@pytest.mark.parametrize("way", list(WAYS))
@settings(max_examples=8, deadline=None)
@given(edits=EDITS, seed=st.integers(0, 2**16))
def test_no_row_that_was_locked_trains_and_none_that_trained_is_tested_on(
    way: str, edits: Sequence[str], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    frame = table()
    data = read(frame, way)
    ever_locked, ever_used = opened(frame, way, data), used(data)
    for edit in edits:
        frame = edited(frame, edit, chance).reset_index(drop=True)
        data = read(frame, way, data.fingerprint)
        now_locked, now_used = opened(frame, way, data), used(data)
        assert not now_used & ever_locked
        assert not now_locked & ever_used
        ever_locked |= now_locked
        ever_used |= now_used
        again = read(frame, way, data.fingerprint)
        assert (used(again), opened(frame, way, again)) == (now_used, now_locked)
        assert again.fingerprint == data.fingerprint


def test_what_rows_are_used_for_does_not_depend_on_their_order() -> None:
    before = read(table(), "random").fingerprint
    frame = pd.concat([table(), table(30, 100)])
    one, other = (opened(f, "random", read(f, "random", before)) for f in (frame, frame[::-1]))
    assert one == other
    assert 0 < len(one - set(range(60))) < 30


def test_a_row_that_was_removed_and_comes_back_is_still_locked() -> None:
    whole = table()
    first = read(whole, "random")
    gone = min(opened(whole, "random", first))
    without = whole[whole.a != gone]
    second = read(without, "random", first.fingerprint)
    third = read(whole.assign(c=1.0), "random", second.fingerprint)
    assert gone not in used(third)
    assert len(third.train) + len(third.validation) == len(first.train) + len(first.validation)


def test_a_row_that_may_be_a_changed_version_of_a_locked_one_is_left_out() -> None:
    whole = table()
    first = read(whole, "random")
    gone = opened(whole, "random", first)
    changed = whole.assign(b=np.where(whole.a == min(gone), 99.0, whole.b))[::-1].reset_index(drop=True)
    second = read(changed, "random", first.fingerprint)
    assert min(gone) not in used(second) | opened(changed, "random", second)
    assert any("1 rows are left out" in note for note in second.notes)


def test_data_of_which_nothing_is_as_it_was_is_refused() -> None:
    first = read(table(), "random")
    with pytest.raises(DataError, match="start another study"):
        read(table(70, 1000), "random", first.fingerprint)
    with pytest.raises(DataError, match="start another study"):
        read(table()[:50].drop(columns="b"), "random", first.fingerprint)


def test_a_split_of_ones_own_keeps_its_locked_rows_out_of_training_and_validation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 2)), np.arange(90) % 2
    how = DataSpec(source=str(tmp_path / "rows.npz"))

    def write(rows: Any, judged: Any, test: Any) -> None:
        names = {"": rows, "_validation": judged, "_test": test}
        arrays = {f"{k}{name}": v[at] for name, at in names.items() for k, v in (("X", x), ("y", y))}
        np.savez(tmp_path / "rows.npz", **arrays)

    told: list[str] = []
    write(slice(0, 40), slice(40, 60), slice(60, 80))
    first = load(how, tmp_path, check=FingerprintCheck(None, told.extend))
    write(slice(0, 40), slice(40, 60), slice(62, 82))
    load(how, tmp_path, check=FingerprintCheck(first.fingerprint, told.extend))
    assert told == ["X_test: 2 rows changed"]
    write([*range(40), 60, 61], [*range(40, 60), 62], slice(63, 90))
    second = load(how, tmp_path, check=FingerprintCheck(first.fingerprint, told.extend))
    assert (len(second.train), len(second.validation)) == (40, 20)
