from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9), "y": tuner.Float(low=0, high=1, default=0.1)}


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    context.keep({"x": np.asarray(params["x"])})
    for epoch in range(1, 5):
        yield {"train_loss": params["x"] / epoch, "val_loss": params["x"] / epoch + params["y"] / 10}


@pytest.fixture
def study() -> tuner.Study:
    return tuner.start(trainer=train, space=SPACE, trials=12, settings={"search.pruner": "none"})


def test_figure_for_a_notebook_has_the_studys_trials(study: tuner.Study) -> None:
    drawn = study.plot("convergence", dark=True)
    numbers = {number for trace in drawn.data for number in (trace.customdata or ()) if number is not None}
    assert numbers >= set(range(12))


def test_unknown_figure_and_option_are_refused_with_what_is_known(study: tuner.Study) -> None:
    with pytest.raises(tuner.PluginError, match="convergence"):
        study.plot("convergense")
    with pytest.raises(tuner.SpecError):
        study.plot("convergence", colour="red")


@pytest.mark.browser
def test_export_writes_every_figure_as_pictures_and_a_report(study: tuner.Study, tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("there is no Chromium")
    files = tuner.export(study.name, tmp_path / "out", figures=True)
    names = {path.name for path in files if path.parent.name == "figures"}
    assert {"convergence.png", "convergence.svg", "gap_epochs.svg"} <= names
    assert "Convergence" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
