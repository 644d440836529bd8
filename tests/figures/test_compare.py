from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures.parts import curve, frame, losses
from tuner.core.importances import Importances
from tuner.core.trial import Objective, TrialState
from tuner.figures import LIGHT, NothingToPlot, compare_curves, compare_importances
from tuner.figures.compare import data, draw


def test_each_study_has_its_own_best_so_far() -> None:
    one, two = frame(losses(3.0, 2.0), name="one"), frame(losses(5.0, 1.0, 4.0), name="two")
    found = data(replace(one, beside=(two,)))
    assert [(name, best.y.tolist()) for name, best in found.curves] == [
        ("one", [3.0, 2.0, 2.0]),
        ("two", [5.0, 1.0, 1.0]),
    ]


def test_studies_of_another_metric_are_named_but_not_drawn() -> None:
    other = frame(losses(0.9), objective=Objective("val_loss", minimize=False), name="other")
    found = data(replace(frame(losses(3.0), name="one"), beside=(other,)))
    assert found.others == ("other",)
    assert len(found.curves) == 1
    drawing = draw(found, LIGHT)
    assert drawing["layout"]["annotations"][0]["text"].endswith("values are of another kind: other")


def test_points_have_no_trial_numbers_for_they_are_of_different_studies() -> None:
    drawing = draw(data(frame(losses(1.0))), LIGHT)
    assert all("customdata" not in trace for trace in drawing["data"])


def test_studies_without_a_value_are_said_in_words() -> None:
    with pytest.raises(NothingToPlot, match="None of these studies"):
        data(frame({}))


def test_a_study_is_compared_by_the_median_and_the_band_of_its_curves() -> None:
    one = frame({n: curve([1.0, 1.0], [v, v / 2]) for n, v in enumerate((1.0, 2.0, 9.0))}, name="one")
    two = frame({0: curve([1.0], [5.0])}, {1: {"state": TrialState.FAILED}}, name="two")
    found = compare_curves.data(replace(one, beside=(two,)))
    assert found.label == "validation loss"
    assert [(name, band.x.tolist(), band.y[:, 1].tolist()) for name, band in found.bands] == [
        ("one", [1, 2], [2.0, 1.0]),
        ("two", [1], [5.0]),
    ]
    assert found.bands[0][1].y[0].tolist() == [1.0, 2.0, 9.0]
    assert found.missing == "two: left out: 1 failed"
    said = [trace["name"] for trace in compare_curves.draw(found, LIGHT)["data"]]
    assert said[1::2] == ["one: median of 3 trials", "two: median of 1 trial"]


def test_curves_are_drawn_where_the_first_study_has_none() -> None:
    empty = frame({}, name="empty")
    two = frame({0: curve([1.0], [5.0])}, name="two")
    together = replace(empty, beside=(two,))
    found = compare_curves.data(together)
    assert ([name for name, _ in found.bands], found.label, found.places) == (
        ["two"],
        "validation loss",
        (1,),
    )
    (what, _) = compare_curves.options(together)
    assert (what.default, "gap" in dict(what.choices)) == ("val_loss", True)
    with pytest.raises(NothingToPlot, match="empty has no curve"):
        compare_curves.data(empty)


def test_curves_and_importances_of_another_kind_are_named_but_not_drawn() -> None:
    shares = {each: Importances(9, 4, {"rate": 0.5}, {"rate": 0.1}) for each in ("value", "gap")}
    one = replace(frame(losses(1.0), name="one"), score="rmse", task="regression", importances=shares)
    other = replace(one, name="other", score="accuracy", task="classification")
    together = replace(one, beside=(other, replace(one, name="alike")))
    for what in ("val_loss", "val_score", "gap"):
        found = compare_curves.data(together, what)
        assert ([name for name, _ in found.bands], found.others) == (["one", "alike"], ("other",))
    assert compare_curves.data(together, "grad_norm").others == ()
    for explains in ("value", "gap"):
        told = compare_importances.data(together, explains)
        assert ([name for name, _ in told.shares], told.others) == (["one", "alike"], ("other",))
    note = compare_importances.draw(told, LIGHT)["layout"]["annotations"][0]["text"].replace("<br>", " ")
    assert note.startswith("one: of 9 of 1 trial; alike: ")
    assert note.endswith("of another kind: other")


def test_importances_of_several_studies_stand_side_by_side() -> None:
    one = replace(
        frame(losses(1.0), name="one"), importances={"value": Importances(9, 4, {"rate": 0.5, "layers": 0.1})}
    )
    shares = Importances(20, 4, {"layers": 0.7}, {"layers": 0.2})
    two = replace(one, name="two", importances={"value": shares})
    early = replace(one, name="early", importances={"value": Importances(3, 9)})
    found = compare_importances.data(replace(one, beside=(two, early)))
    assert found.parameters == ("layers", "rate")
    assert found.shares == (("one", (0.1, 0.5)), ("two", (0.7, None)))
    assert found.errors == ((None, None), (0.2, None))
    assert found.silent[0].startswith("early: Too few trials")
    bars = compare_importances.draw(found, LIGHT)["data"]
    assert [(bar["name"], bar["x"]) for bar in bars] == [("one", [0.1, 0.5]), ("two", [0.7, None])]
    with pytest.raises(NothingToPlot, match="not known yet"):
        compare_importances.data(frame(losses(1.0)))
    with pytest.raises(NothingToPlot, match=r"^early: Too few.* other: Too few"):
        compare_importances.data(replace(early, beside=(replace(early, name="other"),)))
