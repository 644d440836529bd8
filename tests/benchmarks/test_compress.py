"""The plain loop prunes what it says, and the volume behind a front is what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.compress import looped, spread, volume
from tests.trainers.torch import plain
from tuner.core.trial import Trial
from tuner.testing.trainer import blobs
from tuner.trainers import load_model


def test_volume_is_the_share_behind_the_front() -> None:
    assert volume([(0.0, 0.0)], (2.0, 4.0)) == 1
    assert volume([(1.0, 2.0)], (2.0, 4.0)) == pytest.approx(0.25)
    assert volume([(1.0, 2.0), (0.5, 3.0), (1.5, 3.5)], (2.0, 4.0)) == pytest.approx((2 + 0.5) / 8)
    assert volume([(3.0, 1.0)], (2.0, 4.0)) == 0


def test_interval_of_pairs_is_students() -> None:
    assert spread(np.array([1.0, 2.0, 3.0])) == "2.0000 (-0.4841 to 4.4841)"
    assert spread(np.array([0.5])) == "0.5000"


def test_loop_fine_tunes_smaller_networks(tmp_path: Path) -> None:
    pytest.importorskip("torch_pruning")
    data = blobs()
    rows = plain.batch(data, plain.study(model="mlp"))
    rows.place(0, Trial(1, {"width": 8, "learning_rate": 0.01}, 5))
    for _ in range(plain.EPOCHS):
        plain.reading(rows)
    assert rows.save(0, tmp_path)
    found = looped(load_model(tmp_path).module, data, 1, 0.01, 0.01)
    assert len(found.points) >= 1
    assert all(np.isfinite(point).all() for point in found.points)
