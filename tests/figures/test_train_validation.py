from __future__ import annotations

from math import nan

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import Objective, Reading
from tuner.figures import LIGHT
from tuner.figures.train_validation import data, draw


def test_points_are_the_best_epochs_numbers_and_the_colour_is_their_gap() -> None:
    found = data(frame({0: curve([3.0, 1.0], [3.5, 1.5]), 1: curve([2.0, 0.1], [2.0, 4.0])}))
    assert found.points.x.tolist() == [1.0, 2.0]
    assert found.points.y.tolist() == [1.5, 2.0]
    assert found.gap.tolist() == [0.5, 0.0]


def test_the_sides_of_ones_own_numbers_are_told_by_their_names() -> None:
    def sides(*names: str, metric: str = "val_loss") -> list[tuple[str, str]]:
        reading = Reading(1, nan, nan, extras={name: float(i) for i, name in enumerate(names)})
        return [*frame({0: [reading]}, objective=Objective(metric)).sides.values()]

    assert sides("f1", "train_f1") == [("train_f1", "f1")]
    assert sides("f1", "train_f1", "val_f1") == [("train_f1", "val_f1")]
    assert sides("f1", "train_f1", "val_f1", metric="f1") == [("train_f1", "f1")]
    assert sides("f1", "val_f1") == sides("train_f1") == []
    own = Reading(1, nan, nan, extras={"f1": 0.5, "train_f1": 0.75})
    found = data(
        frame({0: [own]}, {0: {"best": own, "value": 0.5}}, objective=Objective("f1", False)), what="f1"
    )
    assert (found.points.x.tolist(), found.points.y.tolist(), found.gap.tolist()) == ([0.75], [0.5], [0.25])


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
