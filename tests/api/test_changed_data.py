"""Data that is not what a study was started with: named and refused, or taken over with its locked rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tuner.data import read_as

ROWS = 100
NOT_THE_DATA = "is not the data that 'rows' was started with: "


def table(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 2)).round(4), columns=["a", "b"])
    return frame.assign(y=np.where(frame.a > 0, "yes", "no"))


TRAINER = """
import json
from pathlib import Path

def train(params, context):
    data = context.data
    rows = [float(f"{a:.4f}") for split in (data.train, data.validation) for a in split.x[:, 0].tolist()]
    with Path("used.json").open("a") as file:
        file.write(json.dumps(rows) + "\\n")
    for epoch in range(2):
        yield abs(params["x"] - 0.3) + 1 / (1 + epoch) + sum(rows) / 1000
"""
STUDY = """
[data]
source = "rows.csv"
target = "y"
[trainer]
use = "./trainer.py:train"
epochs = 2
workers = 1
[search]
pruner = "none"
[budget]
trials = 2
[confirm]
repeats = 3
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.5
"""

Edit = Callable[[pd.DataFrame], pd.DataFrame]
EDITS: dict[str, tuple[Edit, str]] = {
    "labels": (
        lambda t: t.assign(y=np.where(t.index < 5, np.where(t.y == "no", "yes", "no"), t.y)),
        "the target of 5 rows changed",
    ),
    "rows": (lambda t: pd.concat([t[3:], table(20, 1)]), "3 rows changed; 17 rows added"),
    "order": (lambda t: t[::-1], "the rows stand in another order"),
    "column": (lambda t: t.assign(c=1), "columns new: c"),
    "gone": (lambda t: t.drop(columns="b"), "columns gone: b"),
}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A study named `rows`, run on `rows.csv`."""
    path = tmp_path / "rows.csv"
    table().to_csv(path, index=False)
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "rows.toml").write_text(STUDY)
    tuner.start("rows.toml")
    return path


def used() -> list[set[float]]:
    """The values of `a` that each trial trained on or was judged by, since the last look."""
    file = Path("used.json")
    found = [set(json.loads(line)) for line in file.read_text().splitlines()]
    file.unlink()
    return found


@pytest.mark.parametrize("edit", list(EDITS))
def test_changed_data_is_refused_by_everything_that_goes_by_it(rows: Path, edit: str) -> None:
    change, told = EDITS[edit]
    change(table()).to_csv(rows, index=False)
    uses: list[Callable[[], object]] = [
        lambda: tuner.resume("rows"),
        lambda: tuner.resume("rows", trials=3),
        lambda: tuner.resume("rows", trials=3, allow_changes=False),
        lambda: tuner.confirm("rows"),
        lambda: tuner.write_report("rows"),
        lambda: tuner.export("rows", "out"),
    ]
    for use in uses:
        with pytest.raises(tuner.SpecError, match="--allow-changes") as caught:
            use()
        assert NOT_THE_DATA + told in str(caught.value)
    assert len(tuner.load("rows").records) == 2
    assert tuner.write_report("rows", ignore_changes=True).is_file()
    table().to_csv(rows, index=False)
    assert tuner.write_report("rows").is_file()
    assert len(tuner.resume("rows", trials=3).records) == 3


@pytest.mark.parametrize("edit", list(EDITS))
def test_data_that_is_taken_over_keeps_its_locked_rows_locked(rows: Path, edit: str) -> None:
    before = set().union(*used())
    locked = set(table().a) - before
    assert len(locked) == 20
    change, told = EDITS[edit]
    change(table()).to_csv(rows, index=False)
    study = tuner.resume("rows", trials=4, allow_changes=True)
    found = used()
    assert len(found) == 2
    assert not set().union(*found) & locked
    assert study.specs[-1].changes == ("budget.trials: 2 -> 4", *(f"data: {c}" for c in told.split("; ")))
    assert "The data has changed" in " ".join(study.summary.facts["notes"])
    assert len(tuner.resume("rows", trials=5).records) == 5
    assert used()[0] == found[0]


def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    yield abs(params["x"] - 0.3)


def test_a_trial_that_was_cut_off_begins_again_on_changed_data() -> None:
    interrupt = [1]

    def stateful(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, Any]]:
        state = context.resume() or {"sum": 0.0, "epochs": 0}
        for _ in range(state["epochs"], context.epochs):
            if state["epochs"] == 2 and context.number in interrupt:
                interrupt.clear()
                raise KeyboardInterrupt
            total = state["sum"] + float(context.data.train.x.sum())
            state = {"sum": total, "epochs": state["epochs"] + 1}
            yield {"val_loss": total, "state": state}

    space = {"x": tuner.Float(low=0, high=1, default=0.5)}
    x, y = table()[["a", "b"]].to_numpy(), (table().y == "yes").to_numpy(int)
    how: dict[str, Any] = {"trainer": stateful, "trials": 3}
    settings = {"trainer.epochs": 4, "search.pruner": "none"}
    with pytest.raises(KeyboardInterrupt):
        tuner.start(name="rows", space=space, data=(x, y), settings=settings, **how)
    more = table(120)
    changed = more[["a", "b"]].to_numpy(), (more.y == "yes").to_numpy(int)
    study = tuner.resume("rows", data=changed, allow_changes=True, **how)
    first, cut, last = (study.trial(number).curve for number in range(3))
    assert [r.val_loss for r in cut] == [r.val_loss for r in last] != [r.val_loss for r in first]


def test_other_arrays_from_python_are_refused_and_taken_over_alike() -> None:
    space = {"x": tuner.Float(low=0, high=1, default=0.5)}
    x, y = table()[["a", "b"]].to_numpy(), (table().y == "yes").to_numpy(int)
    tuner.start(name="rows", trainer=train, space=space, data=(x, y), trials=2)
    assert len(tuner.resume("rows", trainer=train, data=(x.copy(), y), trials=3).records) == 3
    with pytest.raises(tuner.SpecError, match=r"data: is not the data .*: the target of 1 row changed"):
        tuner.resume("rows", trainer=train, data=(x, np.append(y[:-1], 1 - y[-1])), trials=4)
    with pytest.raises(tuner.SpecError, match="2 rows removed"):
        tuner.confirm("rows", trainer=train, data=(x[2:], y[2:]))
    more = tuner.resume("rows", trainer=train, data=(x[2:], y[2:]), trials=4, allow_changes=True)
    assert len(more.records) == 4


def test_a_frame_from_python_is_compared_by_its_values() -> None:
    space = {"x": tuner.Float(low=0, high=1, default=0.5)}
    how = {"name": "rows", "trainer": train, "space": space, "target": "y", "trials": 2}
    tuner.start(data=table(), **how)  # type: ignore[arg-type]
    same = table().astype({"a": "Float64", "y": "category"})
    assert len(tuner.resume("rows", trainer=train, data=same, trials=3).records) == 3
    with pytest.raises(tuner.SpecError, match="columns new: c"):
        tuner.resume("rows", trainer=train, data=table().assign(c=1), trials=4)


def test_a_study_without_a_fingerprint_goes_on_and_says_that_it_is_taken(rows: Path) -> None:
    with closing(sqlite3.connect("tuner.db")) as connection, connection:
        connection.execute("DELETE FROM tuner_fingerprints")
    told = [n for n in tuner.resume("rows", trials=3).summary.facts["notes"] if "fingerprint is" in n]
    assert len(told) == 1
    EDITS["labels"][0](table()).to_csv(rows, index=False)
    with pytest.raises(tuner.SpecError, match="the target of 5 rows changed"):
        tuner.resume("rows", trials=4)


def test_a_data_file_that_is_gone_is_named(rows: Path) -> None:
    rows.unlink()
    with pytest.raises(tuner.DataError, match=r"rows\.csv: no such file"):
        tuner.resume("rows", trials=3)
    assert tuner.write_report("rows").is_file()


def test_a_confirmation_of_earlier_data_is_told_as_such(rows: Path) -> None:
    tuner.confirm("rows")
    EDITS["labels"][0](table()).to_csv(rows, index=False)
    study = tuner.resume("rows", trials=3, allow_changes=True)
    assert any("tune confirm rows --reopen" in note for note in study.summary.facts["notes"])


@pytest.mark.parametrize("is_stored", [True, False])
def test_columns_that_an_earlier_version_read_differently_are_named_and_refused(
    tmp_path: Path, is_stored: bool
) -> None:
    """By what is stored of the columns, or where an earlier version stored nothing, by a kept model."""
    frame = table().assign(paid=np.where(np.arange(ROWS) % 3 == 0, "yes", "no"))
    frame.to_csv(tmp_path / "paid.csv", index=False)
    how = {"trainer.epochs": 2}
    study = tuner.start("paid.csv", name="paid", target="y", trials=2, settings=how, confirm=False)
    model = study.records[0].model_path
    assert model is not None
    described = Path(model) / "model.json"
    description = json.loads(described.read_text())
    category = {
        "name": "paid",
        "kind": "category",
        "categories": ["no", "yes"],
        "other": False,
        "missing": False,
    }
    before = {"columns": [*description["encoding"]["columns"][:-1], category]}
    described.write_text(json.dumps({**description, "encoding": before}))
    stored = {"inputs": read_as(before)} if is_stored else {}
    with closing(sqlite3.connect(tmp_path / "tuner.db")) as connection, connection:
        facts = json.loads(connection.execute("SELECT facts FROM tuner_studies").fetchone()[0])
        del facts["inputs"]
        connection.execute("UPDATE tuner_studies SET facts = ?", (json.dumps(facts | stored),))
    for use in (lambda: tuner.resume("paid", trials=3), lambda: tuner.confirm("paid")):
        with pytest.raises(tuner.SpecError, match=r"reads columns differently .*: paid; .*--allow-changes"):
            use()
    more = tuner.resume("paid", trials=3, allow_changes=True)
    assert more.specs[-1].changes[-1] == "data: read differently: paid"
    assert len(tuner.resume("paid", trials=4).records) == 4
