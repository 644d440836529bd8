from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import TrialState
from tuner.figures import LIGHT, NothingToPlot
from tuner.figures.contour import data, draw

PARAMS = [(1.0, 1, "sgd"), (1.0, 1, "adam"), (1e-4, 3, "sgd"), (1e-4, 3, "sgd"), (1e-4, 3, "sgd")]
FACTS: dict[int, dict[str, Any]] = {
    n: {"params": {"rate": rate, "layers": layers, "optimizer": optimizer}}
    for n, (rate, layers, optimizer) in enumerate(PARAMS)
}


def test_a_cell_has_the_median_of_its_trials_and_others_are_empty() -> None:
    found = data(frame(losses(1.0, 3.0, 5.0, 9.0, 6.0), FACTS), "layers", "optimizer")
    assert found.median.shape == (3, 3)
    assert found.median[0, 0] == 1.0
    assert found.median[1, 0] == 3.0
    assert found.median[0, 2] == 6.0
    assert np.isnan(found.median[2]).all()
    assert found.count.sum() == 5
    assert found.x.tolist() == [1.0, 2.0, 3.0]


def test_a_continuum_is_cut_evenly_on_its_own_scale() -> None:
    found = data(frame(losses(1.0, 3.0, 5.0, 9.0, 6.0), FACTS), "rate", "layers")
    assert found.median[0, -1] == 2.0
    assert found.median[2, 0] == 6.0
    assert (found.x[0], found.x[-1]) == (1e-4, 1.0)
    assert found.x[1] / found.x[0] == pytest.approx(found.x[-1] / found.x[-2])


def test_trials_that_were_cut_short_do_not_count() -> None:
    cut = {4: FACTS[4] | {"state": TrialState.STOPPED, "conclusive": False}}
    found = data(frame(losses(1.0, 3.0, 5.0, 9.0, 6.0), FACTS | cut), "layers", "optimizer")
    assert found.median[0, 2] == 7.0


def test_the_good_is_bright_whichever_way_the_objective_looks() -> None:
    made = frame(losses(1.0, 3.0, 5.0, 9.0, 6.0), FACTS)
    assert draw(data(made), LIGHT)["data"][0]["reversescale"] is True


def test_twice_the_same_parameter_is_said_in_words() -> None:
    with pytest.raises(NothingToPlot, match="two different ones"):
        data(frame({0: curve([1.0], [1.0])}), "rate", "rate")
