from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tuner
from tests.findings.trained import said
from tuner.core.trial import LAYER_NORMS

RATE = {"learning_rate": tuner.Float(low=1e-4, high=1e-3, log=True, default=3e-4)}
DEEP = {"depth": 8, "width": 16, "activation": "sigmoid", "init": "small_normal"}


def study(tmp_path: Path, fixed: dict[str, Any], **settings: Any) -> tuner.Study:
    return tuner.start(
        {
            "name": "deep",
            "data": {"source": "sklearn:wine"},
            "trainer": {"model": "mlp", "epochs": 4, "workers": 1},
            "search": {"pruner": "none"},
            "budget": {"trials": 4},
            "confirm": {"auto": False},
            "space": {"fixed": fixed},
        },
        space={**RATE, "fixed": fixed},
        storage=f"sqlite:///{tmp_path}/t.db",
        settings=settings,
    )


@pytest.mark.parametrize("rows", [1, 4], ids=["one at a time", "fused"])
def test_a_deep_network_of_sigmoids_is_told_that_its_gradients_vanish(tmp_path: Path, rows: int) -> None:
    found = study(tmp_path, DEEP, **{"trainer.rows": rows})
    told = said(found)["gradients"]
    assert "in the first layer that is" in told
    assert "the first layers hardly learn" in told


@pytest.mark.parametrize("rows", [1, 4], ids=["one at a time", "fused"])
def test_a_network_that_learns_is_not(tmp_path: Path, rows: int) -> None:
    assert "gradients" not in said(study(tmp_path, {"depth": 2}, **{"trainer.rows": rows}))


def test_gradients_that_explode_are_told(tmp_path: Path) -> None:
    told = said(study(tmp_path, {"depth": 8, "init_gain": 3.0, "activation": "identity"}))["gradients"]
    assert "with gradients of a norm of about" in told


def test_the_first_and_the_last_epoch_tell_of_the_layers_alike_in_every_engine(tmp_path: Path) -> None:
    curves = []
    for rows in (1, 4):
        found = study(tmp_path, {"depth": 2, "l1": 0.0}, **{"trainer.rows": rows, "name": f"rows{rows}"})
        curve = found.trial(0).curve
        assert [LAYER_NORMS[0] in reading.extras for reading in curve] == [True, False, False, True]
        curves.append([[reading.get(name) for name in LAYER_NORMS] for reading in (curve[0], curve[-1])])
    assert curves[0] == [pytest.approx(norms, rel=1e-3) for norms in curves[1]]
