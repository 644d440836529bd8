"""What a framework prints, its bars too, is in the trial's log and nowhere on the screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
os.environ.setdefault("KERAS_BACKEND", "torch")

_NET = {"hidden": 4, "rate": 0.01}
LOUD: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "lightning": ('"enable_progress_bar": False', '"enable_progress_bar": True', "Epoch 1", _NET),
    "keras": ("verbose=0", "verbose=1", "val_accuracy:", {"units": 4, "layers": 1, "rate": 0.01}),
    "transformers": ("disable_tqdm=True", "disable_tqdm=False", "100%|", {"learning_rate": 0.01, "width": 8}),
    "skorch": ("verbose=0", "verbose=1", "train_loss", _NET),
    "xgboost": ("verbose_eval=False", "verbose_eval=True", "val-logloss:", {"eta": 0.3}),
    "lightgbm": ('"verbose": -1', '"verbose": 1', "[LightGBM]", {"learning_rate": 0.3}),
}
"""What keeps a framework quiet in its example, what does not, something that it prints, and its settings."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", LOUD)
def test_bars_and_prints_are_in_the_trials_log_and_not_on_the_screen(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed: it is not tested")
    quiet, loud, shown, params = LOUD[package]
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / f"with_{package}.py").read_text()
    assert quiet in text
    Path("loop.py").write_text(text.replace(quiet, loud))
    generator = np.random.default_rng(0)
    y = np.arange(80) % 2
    columns = 784 if package == "keras" else 64
    data = None if package == "transformers" else ((generator.normal(size=(80, columns)) + y[:, None]), y)
    function = "fit" if package == "keras" else "train"
    study = tuner.start(
        name="loud",
        data=data,
        trainer=f"./loop.py:{function}",
        space={name: tuner.Choice([value]) for name, value in params.items()},
        trials=1,
        workers=1,  # more have processes, of which all is kept
        settings={"trainer.epochs": 2},
        progress=False,
    )
    assert shown in study.trial(0).log
    assert "".join(capfd.readouterr()) == ""
