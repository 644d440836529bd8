from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNER_STORAGE", raising=False)
    # A study has worker processes where it asks for them: to start two takes longer than most of the tests.
    monkeypatch.setattr("tuner.api.layout.cores", lambda: 1)
    monkeypatch.setattr("tuner.api.planning.cores", lambda: 1)


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """A table of a person's own: numbers, categories, dates, gaps, and a price that follows from them."""
    rng = np.random.default_rng(0)
    rows = 240
    size, rooms = rng.uniform(30, 200, rows), rng.integers(1, 7, rows)
    town = rng.choice(["Ulm", "Kiel", "Hof"], rows)
    extra = {"Ulm": 50_000, "Kiel": 20_000, "Hof": 0}
    price = 2_000 * size + 5_000 * rooms + np.array([extra[t] for t in town]) + rng.normal(0, 3_000, rows)
    table = pd.DataFrame({"size": size, "rooms": rooms, "town": town, "price": price.round()})
    table.loc[::17, "size"] = np.nan
    path = tmp_path / "house.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of two kinds, bright above or bright below."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 160)
    x = rng.uniform(0, 0.5, (160, 1, 8, 8)).astype(np.float32)
    x[y == 0, :, :4] += 0.4
    x[y == 1, :, 4:] += 0.4
    path = tmp_path / "pictures.npz"
    np.savez(path, X=x, y=y)
    return path
