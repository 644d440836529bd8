"""No trial gets lost: every figure draws it or says that it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.figures.parts import curve, frame
from tuner import figures
from tuner.core.endings import COUNTS, CUT_SHORT, PAUSED, RUNNING
from tuner.core.importances import Importances
from tuner.core.objectives import Constraint, Objectives
from tuner.core.trial import DIVERGENCE, Objective, TrialState
from tuner.figures import LIGHT, Frame
from tuner.figures.outcomes import ending
from tuner.figures.points import KINDS

NAN = float("nan")


def study() -> Frame:
    """Trials of every ending, with values and without."""
    fine, rising = [0.9, 0.6, 0.3], [1.0, 0.8, 0.9]
    curves = {n: curve(fine, [v * (1 + n / 9) for v in rising]) for n in range(16)}
    start = {"started_at": "2026-01-01T00:00:00+00:00", "ended_at": "2026-01-01T00:00:06+00:00"}
    facts: dict[int, dict[str, Any]] = {n: dict(start) for n in range(16)}
    stopped = {"state": TrialState.STOPPED, "conclusive": False}
    none = {"value": None, "best": None}
    facts[1] |= {**stopped, "rule": "pruner", "epochs": 2}
    facts[2] |= {**stopped, "rule": "patience", "conclusive": True}
    facts[3] |= {**stopped, "rule": "gap", "conclusive": True}
    facts[4] |= {**stopped, "rule": DIVERGENCE, **none, "epochs": 1}
    facts[5] |= {"state": TrialState.FAILED, **none, "epochs": 0}
    facts[6] |= {"state": TrialState.RUNNING, "ended_at": None, **none, "epochs": 0}
    facts[7] |= {"state": TrialState.PAUSED, "ended_at": None, "epochs": 2}
    facts[8] = {"state": TrialState.WAITING, **none, "epochs": 0}
    facts[9] |= {**none}
    facts[10] |= {"rule": "gap", **stopped, "conclusive": True}
    curves[1], curves[7] = curves[1][:2], curves[7][:2]
    curves[4], curves[9] = curve([NAN], [NAN]), curve([NAN] * 3, [NAN] * 3)
    for n in (5, 6, 8):
        del curves[n]
    objectives = Objectives((Objective(),), (Constraint("val_score", -0.7, is_upper=False),))
    made = frame(curves, facts, objectives, name="one")
    shares = {"value": Importances(9, 4, {"rate": 0.5}), "gap": Importances(9, 4, {"rate": 0.5})}
    return replace(made, importances=shares)


def note(drawing: figures.Drawing) -> str:
    texts = [each["text"] for each in drawing["layout"]["annotations"] if each.get("name") == "note"]
    return " ".join(texts).replace("<br>", " ")


def told(text: str) -> int:
    """How many trials a note says are left out, or not drawn."""
    lists = re.findall(r"(?:left out|not drawn): ([^;]*)", text)
    return sum(int(n) for each in lists for n in re.findall(r"(?:^|, )(\d+) ", each))


def bands_and_lines(found: Any) -> int:
    bands = getattr(found, "bands", None) or ([found.band] if getattr(found, "band", None) else [])
    return len({line.number for line in found.lines}) + max((b.others for b in bands), default=0)


DRAWN: dict[str, Callable[[Any], int]] = {
    "contour": lambda found: int(found.count.sum()),
    "convergence": lambda found: len(found.points),
    "curves": bands_and_lines,
    "gap_epochs": bands_and_lines,
    "gap_parameters": lambda found: len(found.panels[0].points) + found.panels[0].inactive,
    "outcomes": lambda found: int(found.count.sum()),
    "parallel": lambda found: len(found.number),
    "rungs": lambda found: int(found.reached[0]),
    "slices": lambda found: len(found.panels[0].points) + found.panels[0].inactive,
    "timeline": lambda found: len(found.number),
    "tradeoffs": lambda found: len(found.points),
    "train_validation": lambda found: len(found.points),
    "tuner.figures.compare_curves:FIGURE": lambda found: found.bands[0][1].others,
}
"""Trials that are drawn, of each figure that draws trials. Importances say of how many they are."""


CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in DRAWN),
    ("contour", {"upward": "momentum"}),
    ("curves", {"best": 9}),
    ("curves", {"every": True}),
    ("gap_epochs", {"best": 9}),
    ("gap_parameters", {"parameters": ["momentum"]}),
    ("slices", {"parameters": ["momentum"]}),
    ("slices", {"what": "epochs"}),
]


@pytest.mark.parametrize(("name", "given"), CASES, ids=str)
def test_what_is_drawn_and_what_is_left_out_are_all_trials(name: str, given: dict[str, Any]) -> None:
    made, figure = study(), figures.find(name)
    found = figure.data(made, **figures.settings(figure, made, given))
    drawn = DRAWN[name](found)
    if given.get("every"):
        drawn = len(np.unique(np.concatenate([n[np.isfinite(y)] for _, _, y, n in found.every])))
    drawing = figure.draw(found, LIGHT)
    assert drawn + told(note(drawing)) == len(made), note(drawing)


def test_every_registered_figure_is_held_to_it() -> None:
    others = {"importances", "compare"}
    assert {name for name in figures.names() if figures.find(name).__class__ is figures.Figure} <= {
        *DRAWN,
        *others,
    }
    made = study()
    for name in ("importances", "tuner.figures.compare_importances:FIGURE"):
        assert "of 9 of 16 trials" in note(figures.plot(figures.find(name), made))
    alike = figures.find("compare").data(made)
    assert alike.missing.startswith("one: left out: ")
    assert told(alike.missing.removeprefix("one: ")) == int((~made.standing).sum())


def test_a_parameter_that_is_not_active_is_told() -> None:
    drawing = figures.plot(figures.find("slices"), study(), given={"parameters": ["rate", "momentum"]})
    assert "momentum is not active in " in note(drawing)
    assert "rate is not active" not in note(drawing)


@pytest.mark.parametrize("theme", figures.THEMES.values(), ids=list(figures.THEMES))
def test_a_state_has_one_name_and_one_colour_everywhere(theme: figures.Theme) -> None:
    made = study()
    seen: dict[str, set[str]] = {}
    for name in figures.names():
        drawing = figures.plot(figures.find(name), made, theme)
        states: dict[str, str] = {}
        for trace in drawing["data"]:
            kind = ending(trace.get("name", ""))
            is_state = trace.get("name") in KINDS or trace.get("name", "").startswith(
                (f"{CUT_SHORT} by", "stopped early by")
            )
            marker = trace.get("marker", {})
            if is_state:
                states[kind] = marker["color"]
            elif trace["type"] == "bar" and name in ("rungs", "outcomes"):
                states[trace["name"]] = marker["color"]
        assert len(set(states.values())) == len(states), (name, states)
        for kind, hue in states.items():
            seen.setdefault(kind, set()).add(hue)
    assert {kind for kind, hues in seen.items() if len(hues) > 1} == set()
    assert {COUNTS, CUT_SHORT, PAUSED, RUNNING, "finished", "failed", "diverged", "trained on"} <= set(seen)
    assert len({hue for hues in seen.values() for hue in hues}) == len(seen)
    assert len({getattr(theme, hue) for _, hue in KINDS.values()}) == len(KINDS)


def test_rules_of_one_ending_are_told_apart_by_their_hatching() -> None:
    drawing = figures.plot(figures.find("outcomes"), study())
    marks = {t["name"]: (t["marker"]["color"], t["marker"]["pattern"]["shape"]) for t in drawing["data"]}
    assert marks["stopped early by gap"][0] == marks["stopped early by patience"][0] == LIGHT.sky
    assert len(set(marks.values())) == len(marks)
    assert np.all([shape != "" for name, (_, shape) in marks.items() if name in ("failed", "diverged")])
