from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tuner.judging.measures import BINS, calibration_error


def slow(truth: list[int], shares: NDArray[np.float64], weight: list[float]) -> float:
    """The formula of Guo et al. 2017, bin by bin."""
    found = 0.0
    for low in range(BINS):
        inside = [i for i, each in enumerate(shares) if low / BINS < max(each) <= (low + 1) / BINS]
        count = sum(weight[i] for i in inside)
        if count:
            accuracy = sum(weight[i] * (int(shares[i].argmax()) == truth[i]) for i in inside) / count
            confidence = sum(weight[i] * float(max(shares[i])) for i in inside) / count
            found += count / sum(weight) * abs(accuracy - confidence)
    return found


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_papers(classes: int, weighted: bool) -> None:
    draw = np.random.default_rng(classes)
    shares, truth = draw.dirichlet(np.ones(classes), 200), draw.integers(0, classes, 200)
    weight = draw.choice([0.5, 2.0], 200) if weighted else None
    found = calibration_error(truth, shares, weight)
    own = list(np.ones(200) if weight is None else weight)
    assert found == pytest.approx(slow(truth.tolist(), shares, own))


def test_probabilities_that_hold_have_none_and_certainty_that_errs_has_all() -> None:
    truth = np.array([0, 0, 0, 1] * 50)
    assert calibration_error(truth, np.tile([0.75, 0.25], (200, 1))) == pytest.approx(0)
    assert calibration_error(truth, np.tile([0.0, 1.0], (200, 1))) == pytest.approx(0.75)
    assert calibration_error(np.full(4, -1), np.tile([0.0, 1.0], (4, 1))) == 1.0
