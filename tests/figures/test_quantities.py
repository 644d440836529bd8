"""Whatever a study measures can be chosen in every figure that shows a number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.figures.parts import frame
from tuner import figures
from tuner.core.objectives import Objectives
from tuner.core.trial import Objective, Reading
from tuner.figures import (
    Frame,
    NothingToPlot,
    contour,
    convergence,
    gap_epochs,
    gap_parameters,
    parallel,
    slices,
)

CHOOSING = ("contour", "convergence", "parallel", "slices")
NAN = float("nan")


def own() -> Frame:
    """A study that knows no losses: val_f1 is searched for, train_f1 and cpu are measured beside."""
    val = [0.3, 0.6, 0.7, 0.69, 0.6, 0.5, 0.4, 0.3]

    def read(epoch: int, number: int) -> Reading:
        scores = {
            "val_f1": val[epoch - 1] - 0.01 * number,
            "train_f1": 0.5 + 0.05 * epoch,
            "cpu": 7.0 - number,
        }
        return Reading(epoch, NAN, NAN, extras=scores)

    curves = {n: [read(epoch, n) for epoch in range(1, 9)] for n in range(9)}
    best = {n: curve[2] for n, curve in curves.items()}
    facts = {n: {"best": each, "value": each.get("val_f1")} for n, each in best.items()}
    return frame(curves, facts, Objective("val_f1", minimize=False))


def three() -> Frame:
    """A study of three objectives."""
    curves = {
        n: [Reading(1, 0.4, 0.5 + 0.01 * n, 0.9, 0.8, extras={"bytes": 1e5 * (9 - n)})] for n in range(9)
    }
    objectives = (Objective(), Objective("gap"), Objective("bytes"))
    return frame(curves, objective=Objectives(objectives))


@pytest.mark.parametrize("made", [own(), three()], ids=["own", "three"])
@pytest.mark.parametrize("name", [*CHOOSING, "gap_epochs", "gap_parameters"])
def test_every_choice_of_a_quantity_can_be_drawn(name: str, made: Frame) -> None:
    figure = figures.find(name)
    (option,) = (each for each in figure.options(made) if each.name == "what")
    if name in CHOOSING:
        known = {value for value, _ in option.choices}
        assert {*made.measured, "seconds", "epochs"} <= known
        assert option.default == made.objective.metric
    for value, _ in option.choices:
        drawing = figures.plot(figure, made, given={"what": value})
        assert json.loads(json.dumps(drawing, allow_nan=False))["data"], value


def test_the_gap_of_a_score_of_ones_own_is_one() -> None:
    made = own()
    found = gap_epochs.data(made, what="f1")
    assert found.label == "gap of f1"
    assert found.trials == 9
    first = found.lines[0]
    assert first.y[:2] == pytest.approx([0.55 - 0.3, 0.6 - 0.6], abs=1e-6), "more is worse"
    assert int(found.count.sum()) == 9, "validation falls while training rises"
    assert set(gap_epochs.onsets(made, "f1").tolist()) == {3}
    panels = gap_parameters.data(made, ["rate"], what="f1")
    assert panels.label == "gap of f1"
    assert panels.panels[0].points.y[0] == pytest.approx(0.65 - 0.7)
    assert figures.settings(figures.find("gap_epochs"), made)["what"] == "f1"
    with pytest.raises(NothingToPlot, match="no gap"):
        gap_epochs.data(made)


def test_the_gap_of_the_losses_comes_first() -> None:
    made = three()
    assert figures.settings(figures.find("gap_epochs"), made)["what"] == "loss"
    assert gap_epochs.data(made).label == "gap"


def test_a_further_objective_is_shown_by_its_own_direction() -> None:
    made = three()
    found = convergence.data(made, what="bytes")
    assert found.metric == "bytes"
    assert found.best_so_far.y.tolist() == [1e5 * (9 - n) for n in range(9)] + [1e5]
    assert slices.data(made, ["rate"], what="bytes").panels[0].points.y.tolist() == [
        1e5 * (9 - n) for n in range(9)
    ]
    cells = contour.data(made, "rate", "layers", what="bytes")
    assert np.nanmin(cells.median) == 1e5
    assert cells.minimize
    lines = parallel.data(made, what="bytes")
    assert lines.number[0] == 8, "the smallest comes first"
    assert contour.data(own()).minimize is False


def test_nothing_is_the_best_of_a_number_without_a_direction() -> None:
    made = own()
    found = convergence.data(made, what="cpu")
    assert len(found.points) == 9
    assert not len(found.best_so_far.y)
    drawn = convergence.draw(found, figures.LIGHT)["data"]
    assert "best so far" not in [trace["name"] for trace in drawn]
