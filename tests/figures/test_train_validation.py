from __future__ import annotations

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import Objective
from tuner.figures import LIGHT
from tuner.figures.train_validation import data, draw


def test_points_are_the_best_epochs_numbers_and_the_colour_is_their_gap() -> None:
    found = data(frame({0: curve([3.0, 1.0], [3.5, 1.5]), 1: curve([2.0, 0.1], [2.0, 4.0])}))
    assert found.points.x.tolist() == [1.0, 2.0]
    assert found.points.y.tolist() == [1.5, 2.0]
    assert found.gap.tolist() == [0.5, 0.0]


def test_of_a_score_validation_is_worse_where_it_is_lower() -> None:
    made = frame({0: curve([0.2], [0.5])})
    assert data(made, what="score").gap.round(9).tolist() == [0.3]


def test_of_an_error_validation_is_worse_where_it_is_higher() -> None:
    made = frame({0: curve([0.2], [0.5])}, objective=Objective("val_score", minimize=True))
    assert data(made, what="score").gap.round(9).tolist() == [-0.3]


def test_the_diagonal_reaches_from_the_least_to_the_greatest_loss() -> None:
    found = data(frame(losses(2.0, 8.0)))
    assert found.ends == (1.0, 8.0)
    assert draw(found, LIGHT)["data"][0]["x"] == [1.0, 8.0]
