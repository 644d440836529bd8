from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.data import ColumnSummary, examples, load, reading, summarize
from tuner.data.column_summary import FORETELLS

ROWS = 200


def table(**columns: Any) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    y = chance.choice(["yes", "no"], ROWS)
    return pd.DataFrame({"plain": chance.normal(size=ROWS).round(3), **columns, "y": y})


def summaries(folder: Path, frame: pd.DataFrame, **keys: Any) -> dict[str, ColumnSummary]:
    frame.to_csv(folder / "a.csv", index=False)
    data = load(DataSpec(source="a.csv", target="y", **keys), folder, resampling=True)
    return {each.name: each for each in summarize(data)}


def test_every_column_is_told_with_what_becomes_of_it(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    words = ["some words", "other words", "more of them"]
    frame = table(
        id=range(1, ROWS + 1),
        age=chance.choice([20, 30, 40, 50, -999], ROWS),
        income=[f"{i}.5" if i % 4 else "n.v." for i in range(ROWS)],
        colour=chance.choice(["red", "Red ", "blue"], ROWS),
        when=[f"0{1 + i % 9}/0{1 + i % 7}/2023" for i in range(ROWS)],
        note=[f"{words[i % 3]} of row {i / 7:.4f}" for i in range(ROWS)],
        flag=chance.choice(["ja", "nein"], ROWS),
        same=7,
        zip=chance.choice(["01067", "10115"], ROWS),
    )
    found = summaries(tmp_path, frame)
    told = {each.name: (each.kind, each.inputs, each.remarks) for each in found.values()}
    assert list(told) == [*frame.columns[:-1]]
    assert told == {
        "plain": ("number", 1, ()),
        "id": ("number", 0, ("numbers the rows",)),
        "age": ("number", 1, ("may stand for missing: -999",)),
        "income": ("number", 2, (f"not numbers: 'n.v.' and the like, {found['income'].missing} rows",)),
        "colour": ("category", 2, (f"taken for one: {found['colour'].remarks[0][15:]}",)),
        "when": ("date", 7, (found["when"].remarks[0],)),
        "note": ("text", found["note"].inputs, ()),
        "flag": ("boolean", 1, ()),
        "same": ("number", 0, ("one value only: 7",)),
        "zip": ("category", 2, ("zeros in front: 01067",)),
    }
    assert found["when"].remarks[0].startswith("could be another date: ")
    assert (found["plain"].missing, found["flag"].distinct) == (0, 2)
    assert found["income"].missing > 20
    assert found["note"].inputs > 5  # how many words, and `some`, `other`, `more`, `words`, `them`, ...


def test_numbers_that_are_infinite_are_told_as_missing(tmp_path: Path) -> None:
    ratio = ["inf" if i % 5 == 0 else f"{i}.5" for i in range(ROWS)]
    found = summaries(tmp_path, table(ratio=ratio))["ratio"]
    assert found.remarks == (f"not numbers: 'inf' and the like, {found.missing} rows",)
    assert (found.missing > 20, found.inputs) == (True, 2)


@pytest.mark.parametrize("kind", ["category", "number", "bins"])
def test_a_column_that_alone_predicts_a_class_is_remarked(tmp_path: Path, kind: str) -> None:
    frame = table()
    is_yes = frame["y"] == "yes"
    chance = np.random.default_rng(2)
    leaks: dict[str, Any] = {
        "category": np.where(is_yes, "paid", "open"),
        "number": is_yes * 1.0 + chance.normal(size=ROWS) / 100,
        "bins": np.where(is_yes, 1, 2) + 10 * chance.integers(0, 3, ROWS),
    }
    found = summaries(tmp_path, frame.assign(leak=leaks[kind]))
    assert found["leak"].remarks == (FORETELLS,)
    assert not found["plain"].remarks


@pytest.mark.parametrize("scale", [lambda y: y, lambda y: -3 * y + 1, np.exp, lambda y: y.round(1)])
def test_a_column_that_alone_predicts_a_number_is_remarked(tmp_path: Path, scale: Any) -> None:
    chance = np.random.default_rng(3)
    y = chance.normal(size=ROWS)
    frame = pd.DataFrame({"near": y + chance.normal(size=ROWS), "leak": scale(y), "y": y})
    found = summaries(tmp_path, frame)
    assert found["leak"].remarks == (FORETELLS,)
    assert not found["near"].remarks


def test_useful_columns_and_many_categories_are_no_leaks(tmp_path: Path) -> None:
    frame = table()
    chance = np.random.default_rng(4)
    frame["useful"] = np.where(chance.random(ROWS) < 0.9, frame["y"], "no")
    frame["shop"] = [f"shop {i}" for i in chance.integers(0, 90, ROWS)]
    assert not [each.name for each in summaries(tmp_path, frame).values() if FORETELLS in each.remarks]


def test_what_is_no_table_has_no_columns_to_tell_of() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    assert summarize(from_arrays(x, y, DataSpec(source="memory"), resampling=True)) == []
    assert summarize(from_arrays(x, y, DataSpec(source="memory"))) == []


def test_a_coarse_column_of_a_table_that_is_sorted_by_its_target_predicts_nothing_alone(
    tmp_path: Path,
) -> None:
    frame = pd.concat([table()] * 5).sort_values("y", ignore_index=True)
    places = np.where(np.arange(len(frame)) % 3 == 0, "north", "south")
    assert not summaries(tmp_path, frame.assign(place=places))["place"].remarks


def test_columns_of_steps_are_told_and_texts_by_example(tmp_path: Path) -> None:
    frame = table(who=[f"p{i // 4}" for i in range(ROWS)], said=["It  rains, and rains."] * ROWS)
    found = summaries(tmp_path, frame.assign(note=[f"n{i % 3}" for i in range(ROWS)]), sequence="who")
    assert {name: (each.kind, each.inputs, each.remarks) for name, each in found.items()} == {
        "plain": ("number", 1, ()),
        "said": ("category", 0, ("one value only: It  rains, and rains.",)),
        "note": ("category", 3, ()),
    }
    data = load(DataSpec(source="a.csv", target="y", text="said"), tmp_path, resampling=True)
    assert examples(data) == ["'It  rains, and rains.' is read as it rains and rains"] * 2
    again = load(
        DataSpec(source="a.csv", target="y", text="said", tokens="characters"), tmp_path, resampling=True
    )
    assert examples(again)[0] == "'It  rains, and rains.' is read as It  rains, and rains."
    assert examples(load(DataSpec(source="a.csv", target="y"), tmp_path, resampling=True)) == []


def test_a_check_reads_each_column_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the loader has read of a column is what is shown of it; no column is read for its codes alone."""
    chance = np.random.default_rng(1)
    frame = table(colour=chance.choice(["red", "Red ", "blue"], ROWS), income=["1.5", "n.v."] * (ROWS // 2))
    frame.to_csv(tmp_path / "a.csv", index=False)
    names, usual = list[str](), reading._read

    def read(name: str, *given: Any) -> Any:
        names.append(name)
        return usual(name, *given)

    monkeypatch.setattr(reading, "_read", read)
    found = tuner.check(tmp_path / "a.csv", target="y")
    assert names == ["y", *frame.columns[:-1]]
    assert [*found.columns] == [*summaries(tmp_path, frame).values()]
