"""What is exported as CSV runs nothing in a spreadsheet, and comes back whole."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tuner

FORMULAS = (
    '=HYPERLINK("http://x","a")',
    "+1+cmd|'/c calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "-1.5",
    "+7",
    "safe",
)
NUMBERS = ("-1.5", "+7")


def train(params: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
    context.keep({"w": [params["scale"]]})
    yield {"train_loss": 1.0, "val_loss": -params["scale"], "=1+1": 2.0}


def test_texts_that_a_spreadsheet_would_run_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = {
        "kind": tuner.Choice(choices=FORMULAS, default="safe", try_first=FORMULAS),
        "scale": tuner.Float(low=-1.0, high=1.0, default=-0.5),
    }
    tuner.start(trainer=train, space=space, trials=10, name="=1", settings={"trainer.epochs": 1})
    tuner.export("=1", "out")
    report = tuner.write_report("=1", "report.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'href="data:text/csv;base64,([^"]*)"', report)
    exported = Path("out/trials.csv").read_bytes()
    assert base64.b64decode(data) == exported
    found = pd.read_csv(io.BytesIO(exported), dtype=str)
    told = {text: f"'{text}" for text in FORMULAS if text not in (*NUMBERS, "safe")}
    assert {*found["params.kind"]} == {told.get(text, text) for text in FORMULAS}
    assert {*found["params.kind"].str.removeprefix("'")} == set(FORMULAS)
    assert all(float(value) for value in found["params.scale"])
    assert "-0.5" in found["params.scale"].tolist()
    assert "'=1+1" in pd.read_csv("out/curves.csv").columns
