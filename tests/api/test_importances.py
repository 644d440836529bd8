from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner

SPACE = {
    "rate": tuner.Float(low=1e-5, high=1.0, log=True, default=1e-3),
    "rule": tuner.Choice(choices=("sgd", "momentum", "adam"), default="adam", try_first=("sgd",)),
    "momentum": tuner.Float(low=0.0, high=0.99, default=0.9, when={"rule": ("momentum",)}),
    "beta": tuner.Float(low=0.5, high=0.99, default=0.9, when={"rule": ("adam",)}),
    "batch": tuner.Choice(choices=(16, 32, 64, 128), default=32),
    "width": tuner.Int(low=8, high=256, log=True, default=32),
    "dropout": tuner.Float(low=0.0, high=0.5, default=0.0),
    "layers": tuner.Int(low=1, high=4, default=2),
}


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """A loss that depends on the rate alone, and on luck."""
    luck = float(np.random.default_rng(context.seed).normal())
    yield {"val_loss": 0.2 * (math.log10(params["rate"]) + 2.5) ** 2 + 0.02 * luck}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_of_a_short_study_the_setting_that_matters_is_named_first_or_none_is(
    tmp_path: Path, sampler: str
) -> None:
    first = []
    for seed in range(6):
        study = tuner.start(
            name=f"s{seed}",
            trainer=train,
            space=SPACE,
            trials=(12, 20)[seed % 2],
            storage=f"sqlite:///{tmp_path}/t.db",
            settings={"search.sampler": sampler, "search.seed": seed, "confirm.auto": False},
        )
        first += [*study.importances()][:1]
    assert set(first) == {"rate"}
    assert len(first) >= 4
