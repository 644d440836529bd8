"""Folds, repeats and splits of their own through the public API: what is stored, and that it repeats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tuner.cli.contract import trial_table
from tuner.cli.summary import beside
from tuner.core import words
from tuner.errors import DataError, SpecError
from tuner.results import brief
from tuner.results.report import page

pytestmark = pytest.mark.usefixtures("forked_workers")

PLAIN = {"search.sampler": "random", "search.pruner": "none", "trainer.epochs": 3, "confirm.auto": False}
AVERAGED = {**PLAIN, "data.folds": 3, "trainer.repeats": 2}
REDRAWN = {**PLAIN, "data.reshuffle": True}
SPACE = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "default": 0.01}}


def curves(study: tuner.Study) -> list[tuple[Any, ...]]:
    table = study.curves.drop(columns=["seconds"])
    return [tuple(map(repr, row)) for row in table.itertuples(index=False)]


IRIS = {"data": {"source": "sklearn:iris"}, "trainer": {"model": "mlp"}, "space": SPACE}


@pytest.mark.parametrize("keys", [AVERAGED, REDRAWN], ids=["averaged", "redrawn"])
def test_a_study_is_the_same_with_any_threads_and_in_two_parts(keys: Any) -> None:
    rows = {**keys, "trainer.rows": 2, "trainer.workers": 1}
    whole = tuner.start(IRIS, name="whole", trials=6, settings={**rows, "trainer.threads": 2})
    tuner.start(IRIS, name="parts", trials=3, settings={**rows, "trainer.threads": 1})
    assert whole.summary.counts["finished"] == 6
    assert curves(whole) == curves(tuner.resume("parts", trials=6))


def test_fused_rows_in_worker_processes_draw_the_same_splits() -> None:
    both = {**REDRAWN, "trainer.repeats": 2, "trainer.rows": 2}
    here = tuner.start(IRIS, name="here", trials=4, settings={**both, "trainer.workers": 1})
    there = tuner.start(IRIS, name="there", trials=4, workers=2, settings=both)
    assert there.summary.facts["executor"] == "processes"
    assert curves(here) == curves(there)


def test_the_spread_of_the_mean_is_stored_and_each_member_has_a_model() -> None:
    study = tuner.start("digits", trials=2, settings=AVERAGED)
    reading = study.best.reading
    assert reading is not None
    assert {"val_loss_se", "val_score_se", "gap_se"} <= set(reading.extras)
    assert 0 < reading.extras["val_loss_se"] < reading.val_loss
    folder = study.best.model_path
    assert folder is not None
    assert len(list((folder / "members").iterdir())) == 5
    told = json.loads((folder / "model.json").read_text())["member"]
    assert told["mean"] == {"epoch": reading.epoch, "val_loss": reading.val_loss}
    note = "3 folds: every trial trains 3 times on 958 to 959 rows, judged on 479 to 480, 359 locked"
    assert any(note in told for told in study.summary.facts["notes"])


@pytest.mark.parametrize("split", ["group", "time"])
def test_groups_and_times_are_folded(tmp_path: Path, split: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=90), "by": rng.integers(0, 12, 90)})
    table["kind"] = np.where(table.a + 0.3 * rng.normal(size=90) > 0, "yes", "no")
    table.to_csv(tmp_path / "table.csv", index=False)
    data = {"source": "table.csv", "target": "kind", "split": split, split: "by", "folds": 3}
    study = tuner.start(
        {"data": data, "trainer": {"model": "mlp"}, "space": SPACE}, name=split, trials=2, settings=PLAIN
    )
    assert study.summary.counts["finished"] == 2


def test_more_folds_than_groups_are_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": np.arange(60.0), "by": np.arange(60) // 5, "kind": np.arange(60) % 2})
    table.to_csv(tmp_path / "table.csv", index=False)
    data = {"source": "table.csv", "target": "kind", "split": "group", "group": "by", "folds": 11}
    with pytest.raises(DataError, match=r"folds: 10 groups are too few, at least 11 are needed; lower folds"):
        tuner.check({"name": "groups", "data": data, "space": SPACE})


def test_repeats_of_a_function_without_data() -> None:
    def train(params: Any, context: Any) -> float:
        return float(params["learning_rate"] + context.seed % 7)

    study = tuner.start(trainer=train, space=SPACE, trials=2, settings={**PLAIN, "trainer.repeats": 4})
    assert all(record.best is not None and record.best.extras["val_loss_se"] > 0 for record in study.records)


def test_an_order_of_time_is_not_reshuffled() -> None:
    with pytest.raises(SpecError, match="there is one order of time"):
        tuner.check(
            "digits", settings={"data.reshuffle": True, "data.split": "time", "data.time": "pixel_0_0"}
        )


def test_standard_errors_and_seeds_are_told() -> None:
    study = tuner.start(IRIS, name="seeds", trials=2, settings={**PLAIN, "trainer.repeats": 3})
    notes = study.summary.facts["notes"]
    assert "3 seeds: every trial trains 3 times" in notes
    reading = study.best.reading
    assert reading is not None
    shown = words.number(reading.val_loss, reading.error("val_loss"))
    assert " ± " in shown
    cells = [cell for column in beside(study).columns for cell in column.cells]
    assert shown in cells
    assert shown in page(study)
    assert brief(study, study.best)["errors"]["val_loss"] == reading.error("val_loss")
    assert trial_table(study.best.record)["errors"]["val_loss"] == reading.error("val_loss")
