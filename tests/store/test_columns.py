"""The dashboard's reader; what it reads of curves is tested in test_curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.store.columns import Reader


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    print("hello from", context.number)  # noqa: T201
    yield {"val_loss": params["x"]}


def test_files_are_found_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(home)
    tuner.start(trainer=train, space={"x": tuner.Float(0, 1)}, name="s", trials=2)
    monkeypatch.chdir(elsewhere)
    reader = Reader("sqlite:///../home/tuner.db")
    assert reader.log("s", 1) == "hello from 1"
    assert reader.log("s", 7) == ""
    reader.close()
