"""Points: trials as a scatter, marked by how they ended, with the selected ones ringed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.columns import Bools, Floats, Ints, Texts
from tuner.core.endings import (
    COUNTS,
    CUT_SHORT,
    DIVERGED,
    FAILED,
    FINISHED,
    PAUSED,
    RUNNING,
    VIOLATES,
    WAITING,
)
from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.numbers import POINT_DIGITS, listed, thinned
from tuner.figures.theme import Theme, safe

MOST = 300
"""Points drawn of one scatter; more hide one another and take long to send."""

FEWEST = 3
"""So many other trials make a band."""

KINDS: Mapping[str, tuple[str, str]] = {
    WAITING: ("circle-open-dot", "grid"),
    CUT_SHORT: ("x-thin-open", "muted"),
    DIVERGED: ("triangle-up-open", "orange"),
    FAILED: ("triangle-down", "red"),
    VIOLATES: ("square-open", "purple"),
    PAUSED: ("hourglass-open", "brown"),
    RUNNING: ("diamond-open", "yellow"),
    COUNTS: ("circle-open", "sky"),
    FINISHED: ("circle", "blue"),
}
"""How trials ended, in the order they are drawn: symbol and colour, so that neither tells it alone."""


def kinds(frame: Frame) -> Texts:
    """(N,) how each trial ended, one of `KINDS`."""
    trials = frame.trials
    return np.select(
        [
            trials.is_(TrialState.FAILED),
            frame.endings == DIVERGED,
            trials.is_(TrialState.FINISHED, TrialState.STOPPED) & np.isfinite(trials.value) & ~frame.feasible,
            trials.is_(TrialState.FINISHED),
            trials.conclusive,
        ],
        [FAILED, DIVERGED, VIOLATES, FINISHED, COUNTS],
        np.where(trials.is_(TrialState.STOPPED), CUT_SHORT, trials.state.astype(object)),
    )


def left_out(frame: Frame, missing: Bools, why: str = "without it") -> str:
    """What is said of trials that have no place in a figure: ``left out: 2 failed, 1 diverged``.

    Args:
        frame: the study.
        missing: (N,) which trials they are.
        why: why one is missing whose ending does not tell.
    """
    ends, counts = np.unique(kinds(frame)[missing].astype(str), return_counts=True)
    said = {
        FINISHED: f"{FINISHED} {why}",
        COUNTS: f"stopped early {why}",
        VIOLATES: "that break a constraint",
    }
    told = [f"{n:,} {said.get(end, end)}" for end, n in zip(ends.tolist(), counts.tolist(), strict=True)]
    return f"left out: {', '.join(told)}" if told else ""


def with_curve(frame: Frame, values: Floats) -> Bools:
    """(N,) which trials have some of these values (E,)."""
    return np.bincount(frame.epochs.row[np.isfinite(values)], minlength=len(frame)) > 0


def untold(frame: Frame, curved: Bools, rows: Sequence[int], drawn: Bools | None = None) -> str:
    """What is said of trials that have neither a line nor a part in a band.

    Args:
        frame: the study.
        curved: (N,) which trials have a curve.
        rows: of those with a line.
        drawn: (N,) which have a line beside these; None where a band is to hold them.
    """
    others = curved.copy()
    others[list(rows)] = False
    if drawn is not None:
        others &= ~drawn
    few = int(others.sum()) if drawn is not None or others.sum() < FEWEST else 0
    told = f"not drawn: {words.count(few, 'trial')}" if few else ""
    return "; ".join(filter(None, [told, left_out(frame, ~curved)]))


def not_drawn(drawn: int, total: int, missing: str) -> str:
    """What is said of trials that a figure does not show: those that were thinned out, and `left_out`."""
    few = f"{drawn:,} of {total:,} trials drawn: the best, the selected and a sample" if total > drawn else ""
    return "; ".join(filter(None, [few, missing]))


@dataclass(frozen=True)
class Points:
    """P trials with a place.

    Attributes:
        x: (P,).
        y: (P,).
        number: (P,) trial numbers.
        kind: (P,) see `KINDS`.
        selected: (P,) which are brought out.
        total: how many trials have a place; more than P where they were thinned.
        missing: what is said of the trials without one.
    """

    x: Floats
    y: Floats
    number: Ints
    kind: Texts
    selected: Bools
    total: int
    missing: str = ""

    def __len__(self) -> int:
        return len(self.number)

    @property
    def note(self) -> str:
        """What is said of points that are not drawn."""
        return not_drawn(len(self), self.total, self.missing)


def scattered(
    frame: Frame, x: Floats, y: Floats, most: int = MOST, *, x_may_miss: bool = False
) -> tuple[Points, Ints]:
    """The trials with finite x (N,) and y (N,), thinned.

    Args:
        frame: the study.
        x: where they stand from left to right.
        y: where they stand from bottom to top.
        most: more are thinned.
        x_may_miss: whether nothing is said of trials that have a y alone.

    Returns:
        The points, and the rows of their trials.
    """
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    keep = frame.is_selected | (frame.trials.number == 0)
    keep[frame.ranking[: most // 10]] = True
    drawn = thinned(rows, keep[rows], most) if frame.is_thinned else rows
    return (
        Points(
            x=x[drawn],
            y=y[drawn],
            number=frame.trials.number[drawn],
            kind=kinds(frame)[drawn],
            selected=frame.is_selected[drawn],
            total=len(rows),
            missing=left_out(frame, ~np.isfinite(y) if x_may_miss else ~(np.isfinite(x) & np.isfinite(y))),
        ),
        drawn,
    )


def of_default(frame: Frame, values: Floats) -> float | None:
    """The default configuration's of these numbers, (N,); None where it has none."""
    found = values[(frame.trials.number == 0) & np.isfinite(values)]
    return float(found[0]) if len(found) else None


def hover(x: str, y: str, x_as: str = "x") -> str:
    """A hover text that names the trial and both numbers, all digits of them; the labels are made safe."""
    place = "%{x:.8~g}" if x_as == "x" else f"%{{{x_as}}}"
    return f"trial %{{customdata}}<br>{safe(x)}: {place}<br>{safe(y)}: %{{y:.8~g}}<extra></extra>"


def point_traces(
    points: Points, theme: Theme, template: str, size: float | Floats = 6
) -> list[dict[str, Any]]:
    """A trace per way of ending, and one of rings round the selected trials."""
    traces = []
    for kind, (symbol, colour) in KINDS.items():
        rows = np.flatnonzero(points.kind == kind)
        if len(rows):
            marker = {
                "symbol": symbol,
                "color": getattr(theme, colour),
                "size": _of(size, rows),
                "opacity": 0.75 if kind == FINISHED else 0.6,
            }
            traces.append(marks(points, rows, kind, marker, template))
    return traces + rings(points, theme, template, size)


def marks(
    points: Points, rows: Ints, name: str, marker: dict[str, Any], template: str, **more: Any
) -> dict[str, Any]:
    """A trace of these rows of the points."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": listed(points.x[rows], POINT_DIGITS),
        "y": listed(points.y[rows], POINT_DIGITS),
        "customdata": points.number[rows].tolist(),
        "marker": marker,
        "hovertemplate": template,
        **more,
    }


def _of(size: float | Floats, rows: Ints, more: float = 0) -> Any:
    return size + more if isinstance(size, int | float) else (size[rows] + more).round(1).tolist()


def rings(points: Points, theme: Theme, template: str, size: float | Floats = 6) -> list[dict[str, Any]]:
    """A ring around every selected trial."""
    rows = np.flatnonzero(points.selected)
    marker = {
        "symbol": "circle-open",
        "size": _of(size, rows, 6),
        "color": theme.text,
        "line": {"width": 2, "color": theme.text},
    }
    return [marks(points, rows, "selected", marker, template)] if len(rows) else []
