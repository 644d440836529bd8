"""Tables whose columns have many categories: what is inferred, told, trained and predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tuner.core.space import Choice
from tuner.trainers import load_model

ROWS = 400


@pytest.fixture
def flats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    zips = chance.permutation(ROWS) % 40
    rent = (chance.normal(size=40)[zips] * 100 + chance.normal(size=ROWS)).round(2)
    frame = pd.DataFrame({"zip": [f"Z{i}" for i in zips], "size": chance.normal(size=ROWS), "rent": rent})
    frame.to_csv("flats.csv", index=False)
    return tmp_path / "flats.csv"


TOLD = "Where embedding_size is above 0, an embedding of each category takes the place of these columns: zip"


def test_a_study_of_such_a_table_searches_the_size_of_embeddings(flats: Path) -> None:
    checked = tuner.check("flats.csv", target="rent")
    size = checked.spec.space.parameters["embedding_size"]
    assert isinstance(size, Choice)
    assert 0 in size.choices
    assert f"{TOLD} (40)." in checked.notes
    assert {each.name: each.embedded for each in checked.columns} == {"zip": True, "size": False}
    settings = {"trainer.epochs": 9, "trainer.workers": 1, "baselines.use": []}
    study = tuner.start("flats.csv", target="rent", trials=1, settings=settings)
    assert f"{TOLD} (40)." in study.notes
    frame, path = pd.read_csv(flats), study.trial(0).model_path
    assert path is not None
    assert np.corrcoef(load_model(path).predict(frame), frame["rent"])[0, 1] > 0.5


@pytest.mark.parametrize(
    "trainer",
    [{}, {"model": "tests.trainers.torch.nets:lazy"}, {"use": "sklearn", "model": "forest"}],
    ids=str,
)
def test_a_study_without_embeddings_has_the_inputs_that_it_had(flats: Path, trainer: dict[str, str]) -> None:
    space: dict[str, Any] = {"width": {"type": "int", "low": 8, "high": 9}}
    if trainer:
        space = {"embedding_size": {"type": "int", "low": 2, "high": 4}}
    if trainer.get("use") == "sklearn":
        space = {"n_estimators": {"type": "int", "low": 2, "high": 4}}
    table = {"data": {"source": "flats.csv", "target": "rent"}, "trainer": trainer, "space": space}
    checked = tuner.check(table)
    assert checked.data is not None
    assert checked.data.input_shape == (34,)
    assert not any(note.startswith(TOLD) for note in checked.notes)
    assert not any(each.embedded for each in checked.columns)
