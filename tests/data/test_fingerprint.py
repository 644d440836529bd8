"""Hashes depend on values alone, and say what has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tuner.core.data_spec import DataSpec
from tuner.data import hashing, source, threads
from tuner.data.fingerprint import Fingerprint, HashedSource
from tuner.data.hashing import HashedTable, may_hold_words
from tuner.data.words import CATEGORY_MISSING

SPEC = DataSpec(source="rows.csv", target="y")


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": [1.5, 2.0, np.nan, -0.0],
            "rooms": [1, 2, 3, 4],
            "town": ["Ulm", "Köln", None, "Ulm"],
            "big": [True, False, True, True],
            "seen": pd.Series(["2024-01-01", "2024-02-01", "2024-03-01", None], dtype="datetime64[us]"),
            "y": ["a", "b", "a", "b"],
        }
    )


def seen(frame: pd.DataFrame, **how: Any) -> HashedSource:
    return HashedSource.of(source.from_frame(frame, DataSpec(source="rows.csv", target="y", **how)), SPEC)


def differences(frame: pd.DataFrame, before: pd.DataFrame | None = None) -> list[str]:
    return seen(frame).differences(seen(table() if before is None else before).fingerprint)


GOLDEN = "999133f4aecc64aa"
PRINTS = """
from tests.data.test_fingerprint import seen, table
import hashlib
print(hashlib.sha256(seen(table()).fingerprint.encode()).hexdigest()[:16])
"""


def test_a_fingerprint_is_the_same_in_every_process_and_for_ever() -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    done = subprocess.run(
        [sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == GOLDEN


FILES = {
    "a,b,y\n1,x,0.5\n2,NA,1.5\n?,z,2.5\n,null,3.5\n-,n/a,4.5\n": "7d98ee858561c2b9",
    "a;b;y\n1,5;x;0,5\n2;NA;1,5\n+3,25; q,1;2,5\n?;1.234,5;3,5\n": "76c53375aa04392d",
    "a\tb\ty\n1,5\tNone\tA\n2\tnan\tB\n3\tNaN\tNA\n4\t<NA>\tnull\n": "5bd3cffdad119762",
    'a,b,y\n 1 , x,0\n  ,NULL ,1\n"NA","",0\n#N/A,-nan,1\n': "eb72d275cf577018",
}


@pytest.mark.parametrize(("text", "golden"), FILES.items())
def test_text_files_have_the_fingerprints_of_before_their_words_for_missing_were_read(
    tmp_path: Path, text: str, golden: str
) -> None:
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    found = HashedSource.of(source.read(SPEC, tmp_path), SPEC).fingerprint
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == golden


def test_a_fingerprint_is_read_as_it_was_written() -> None:
    whole = seen(table()).fingerprint.with_test_rows(np.array([1, 3]))
    read = Fingerprint.decode(whole.encode())
    assert read is not None
    assert read.is_same_data(whole)
    assert read.roles.tolist() == [0, 1, 0, 1]
    assert [each.x.tolist() for each in read.locked] == [whole.rows.x[[1, 3]].tolist()]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(rooms=t.rooms.astype(np.float64)),
        lambda t: t.assign(rooms=t.rooms.astype(np.int8)),
        lambda t: t.assign(rooms=t.rooms.astype("Int64")),
        lambda t: t.assign(rooms=t.rooms.astype("category")),
        lambda t: t.assign(town=t.town.astype("category")),
        lambda t: t.assign(town=t.town.astype(object)),
        lambda t: t.assign(size=[1.5, 2.0, None, 0.0]),
        lambda t: t.assign(seen=t.seen.astype("datetime64[s]")),
        lambda t: t.assign(seen=t.seen.dt.tz_localize("UTC")),
        lambda t: t.set_axis([9, 8, 7, 6]),
    ],
)
def test_the_way_in_which_values_are_held_does_not_count(
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    assert differences(change(table())) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.assign(y=["a", "b", "a", "a"]), ["the target of 1 row changed"]),
        (lambda t: t.assign(rooms=[1, 2, 3, 5]), ["1 row changed"]),
        (lambda t: t.assign(town=["Ulm", "Köln", "", "Ulm"]), ["1 row changed"]),
        (lambda t: t.assign(big=[True, False, True, False]), ["1 row changed"]),
        (lambda t: pd.concat([t, t[:2]]), ["2 rows added"]),
        (lambda t: t[1:], ["1 row removed"]),
        (lambda t: t[::-1], ["the rows stand in another order"]),
        (lambda t: t[["rooms", "size", "town", "big", "seen", "y"]], ["the columns stand in another order"]),
        (lambda t: t.drop(columns="size"), ["columns gone: size"]),
        (lambda t: t.rename(columns={"size": "area"}), ["columns gone: size", "columns new: area"]),
        (lambda t: t.assign(more=1), ["columns new: more"]),
        (
            lambda t: pd.concat([t, t[:1]]).assign(more=1, rooms=[9, 2, 3, 4, 1]),
            ["columns new: more", "1 row added"],
        ),
        (lambda t: t.assign(rooms=list("1234")), ["column rooms: numbers -> text"]),
        (lambda t: t[1:].drop(columns="size"), ["columns gone: size", "4 rows -> 3"]),
    ],
)
def test_what_has_changed_is_named(change: Callable[[pd.DataFrame], pd.DataFrame], told: list[str]) -> None:
    found = differences(change(table()))
    assert found[: len(told)] == told


def test_columns_that_are_dropped_do_not_count() -> None:
    spec = DataSpec(source="rows.csv", target="y", drop=["rooms"])
    one, other = (
        HashedSource.of(source.from_frame(frame, spec), spec) for frame in (table(), table().assign(rooms=0))
    )
    assert one.differences(other.fingerprint) == []


def test_rows_of_numbers_differ_by_any_of_them() -> None:
    rng = np.random.default_rng(0)
    for shape in ((50, 3), (50, 2, 3, 3), (50, 1200)):
        x = rng.normal(size=shape).astype(np.float32)
        other = x.copy()
        other.reshape(50, -1)[7, 2] += 1
        before, after = HashedTable(x).rows(), HashedTable(other).rows()
        assert np.flatnonzero(before != after).tolist() == [7]
        assert len(set(before)) == 50
    neighbours = HashedTable(np.array([[2**60], [2**60 + 1], [2**60 + 2]])).rows()
    assert len(set(neighbours)) == 3


def test_a_text_that_moves_to_the_next_column_is_another_row() -> None:
    one, other = (HashedTable(pd.DataFrame({"a": [a], "b": [b]})).rows() for a, b in (("x", "y"), ("xy", "")))
    assert one != other


def test_every_word_for_missing_is_seen_by_its_letters() -> None:
    for text in CATEGORY_MISSING:
        assert may_hold_words(pd.Series(["1", None, text], dtype="str"))
    assert not may_hold_words(pd.Series(["-1.5", "+2,5 ", "", None, "007"], dtype="str"))
    assert not may_hold_words(pd.Series([], dtype="str"))


def test_texts_that_lie_in_pieces_are_hashed_as_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each row is the BLAKE2b of its fields, joined in the order of the columns' names."""
    monkeypatch.setattr(threads, "_MANY", 1)
    monkeypatch.setattr(hashing, "_BLOCK", 3)
    chance = np.random.default_rng(0)
    some = ["1.5", "Köln", "", "x" * 300, None]
    texts = {name: [some[i] for i in chance.integers(0, len(some), 50)] for name in ("b", "a")}
    pieces = {
        name: pd.Series(pd.arrays.ArrowStringArray(pa.chunked_array(
            [pa.array(each[:size], pa.large_string()), pa.array(each[size:], pa.large_string())]
        )))
        for (name, each), size in zip(texts.items(), (7, 20), strict=True)
    }  # fmt: skip
    held, whole = HashedTable(pd.DataFrame(pieces)), HashedTable(pd.DataFrame(texts, dtype="str"))
    assert held.columns == whole.columns
    salt = hashlib.blake2b(b"a\x1fb", digest_size=16).digest()
    for table in (held, whole):
        hashes = [
            hashlib.blake2b(
                "\x1f".join("\0" if text is None else text for text in row).encode(), digest_size=8, salt=salt
            ).digest()
            for row in zip(texts["a"], texts["b"], strict=True)
        ]
        assert table.rows().tolist() == hashing._mixed(np.frombuffer(b"".join(hashes), "<u8")).tolist()
        assert table.rows(["a"]).tolist() == HashedTable(pd.DataFrame({"a": texts["a"]})).rows().tolist()


def test_chosen_rows_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_MANY", 1)
    monkeypatch.setattr(threads, "_BLOCK", 3)
    x = np.arange(60.0).reshape(20, 3)
    for rows in (np.arange(20)[::-1], np.array([4, 4, 19, 0, 7]), np.zeros(0, np.intp)):
        assert threads.chosen(x, rows).tolist() == x[rows].tolist()
