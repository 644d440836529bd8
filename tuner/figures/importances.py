"""Importances: how much each parameter explains of the value and, beside it, of the gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.frame import Frame
from tuner.core.importances import Importances
from tuner.figures.figure import Drawing, Figure, NothingToPlot
from tuner.figures.numbers import listed
from tuner.figures.theme import Theme, safe

MOST = 15
_FEW = 7
_CLEAR = 0.25
_ROOM = 1.35  # for what is written behind the longest bar
_BESIDE = 0.175  # where the second of two bars stands


@dataclass(frozen=True)
class ImportanceData:
    """What the figure shows; the most important parameter comes first.

    Attributes:
        parameters: names.
        value: each one's share of the variance of the values; None where it is not significant.
        gap: likewise of the gap.
        value_error: the standard errors of `value`.
        gap_error: and of `gap`.
        trials: how many trials the values rest on.
        second: each one's share by the second method; None without one.
        study: how many the study has.
        opinion: whether that agrees on what comes first, in words.
        gap_side: on which side of each the gap is smaller, see `smaller_gap_side`.
    """

    parameters: tuple[str, ...]
    value: tuple[float | None, ...]
    gap: tuple[float | None, ...]
    value_error: tuple[float | None, ...]
    gap_error: tuple[float | None, ...]
    trials: int
    study: int
    second: tuple[float | None, ...]
    opinion: str
    gap_side: tuple[str, ...]


def smaller_gap_side(frame: Frame, name: str) -> str:
    """Where gaps are smallest: ``"lower"``, ``"middle"`` or ``"higher"`` values, or a choice; "" if unclear.

    Compares the medians of the gap in thirds of a number's trials, or of each choice. It is clear where the
    lowest is below the highest by a quarter of the gap's interquartile range or more.
    """
    gap, column = frame.trials.gap, frame.params[name]
    if column.dtype == object:
        groups = {str(each): column == each for each in sorted({*column.tolist()} - {""})}
    else:
        known = column[np.isfinite(column) & np.isfinite(gap)]
        low, high = np.quantile(known, (1 / 3, 2 / 3)) if len(known) else (0.0, 0.0)
        groups = {
            "lower": column <= low,
            "middle": (column > low) & (column < high),
            "higher": (column >= high) & (column > low),
        }
    parts = {each: gap[rows & np.isfinite(gap)] for each, rows in groups.items()}
    medians = {each: float(np.median(part)) for each, part in parts.items() if len(part) >= _FEW}
    if len(medians) < 2:
        return ""
    least, most = min(medians, key=lambda each: medians[each]), max(medians.values())
    q1, q3 = np.nanquantile(gap, (0.25, 0.75))
    return least if most - medians[least] > _CLEAR * (q3 - q1) else ""


def data(frame: Frame) -> ImportanceData:
    """Shares by parameter, ordered by those for the value."""
    value, gap = (frame.importances.get(name, Importances()) for name in ("value", "gap"))
    if not value and not gap:
        raise NothingToPlot(value.silence)
    names = sorted({*value, *gap}, key=lambda name: (-value.get(name, 0.0), -gap.get(name, 0.0), name))[:MOST]
    return ImportanceData(
        parameters=tuple(names),
        value=tuple(value.get(name) for name in names),
        gap=tuple(gap.get(name) for name in names),
        value_error=tuple(value.errors.get(name) for name in names),
        gap_error=tuple(gap.errors.get(name) for name in names),
        trials=value.trials or gap.trials,
        study=len(frame),
        second=tuple(value.second.get(name) for name in names),
        opinion=value.second_opinion,
        gap_side=tuple(smaller_gap_side(frame, name) if gap.get(name) else "" for name in names),
    )


def draw(columns: ImportanceData, theme: Theme) -> Drawing:
    """Two bars per parameter."""
    names = [safe(name, 28) for name in columns.parameters]
    places = list(range(len(names)))
    traces = []
    sides = [f"{safe(side, 20)}: smaller gap" if side else "" for side in columns.gap_side]
    second = ["" if share is None else f"<br>PED-ANOVA: {share:.0%}" for share in columns.second]
    for label, shares, errors, hue, more in (
        ("for the value", columns.value, columns.value_error, theme.blue, second),
        (
            "for the gap",
            columns.gap,
            columns.gap_error,
            theme.orange,
            [side and f"<br>{side}" for side in sides],
        ),
    ):
        if any(share is not None for share in shares):
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": label,
                    "x": numbers(shares),
                    "error_x": {"array": numbers(errors), "color": theme.text, "thickness": 1.5, "width": 3},
                    "y": places,
                    "text": names,
                    "textposition": "none",
                    "marker": {"color": hue},
                    "hovertext": more,
                    "hovertemplate": (
                        f"%{{text}} {label}: %{{x:.0%}} ± %{{error_x.array:.0%}}%{{hovertext}}<extra></extra>"
                    ),
                }
            )
    if any(sides):
        traces.append(_sides(columns, _BESIDE if len(traces) > 1 else 0.0, theme))
    end = shown_end((*columns.value, *columns.gap), (*columns.value_error, *columns.gap_error))
    x, y = parameter_axes(theme, names, end)
    some = f"{columns.trials:,} of " if columns.trials < columns.study else ""
    amount = f"of {some}{words.count(max(columns.study, columns.trials), 'trial')}"
    told = "; ".join(filter(None, (amount, columns.opinion)))
    layout = theme.layout(x, y, told, barmode="group", bargap=0.3)
    layout["margin"]["l"] = max(64, 20 + 7 * max(map(len, names)))
    return {"data": traces, "layout": layout}


def shown_end(shares: Sequence[float | None], errors: Sequence[float | None]) -> float:
    """Where the axis of these shares ends, so that there is room for what is written behind the longest."""
    longest = max((share or 0.0) + (error or 0.0) for share, error in zip(shares, errors, strict=True))
    return min(_ROOM * longest, 1.0) or 1


def parameter_axes(theme: Theme, names: Sequence[str], end: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The axes of shares, up to this end, and of parameters, the first on top."""
    places = list(range(len(names)))
    return (
        theme.axis("share explained", tickformat=".0%", range=[0, end]),
        theme.axis(
            tickmode="array", tickvals=places, ticktext=list(names), autorange="reversed", showgrid=False
        ),
    )


def numbers(cells: Sequence[float | None]) -> Any:
    """Shares as JSON takes them."""
    return listed([float("nan") if cell is None else cell for cell in cells])


def _sides(columns: ImportanceData, beside: float, theme: Theme) -> dict[str, Any]:
    """What is written behind the bars of the gap and their errors, so far beside the parameter's place."""
    rows = [i for i, side in enumerate(columns.gap_side) if side]
    return {
        "type": "scatter",
        "mode": "text",
        "showlegend": False,
        "x": listed([(columns.gap[i] or 0.0) + (columns.gap_error[i] or 0.0) for i in rows]),
        "y": [i + beside for i in rows],
        "text": [f"\u2002{safe(columns.gap_side[i], 9)}" for i in rows],  # more leaves a narrow screen
        "textposition": "middle right",
        "textfont": {"size": 10, "color": theme.muted},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


FIGURE = Figure(
    name="importances",
    title="Importances",
    help=(
        "How much of the difference between the trials' values (blue), and between their gaps (orange), each "
        "parameter explains, with the standard error; the rest to 100 % is noise or cannot be attributed. "
        "Parameters without a measurable effect are left out. Small print says on which side the gap is "
        "smaller. Below stands whether another method, Optuna's PED-ANOVA, which asks what sets the best "
        "tenth of the trials apart, names the same parameter first. Tune the long bars; a parameter that "
        "matters for the gap but not for the value can be "
        "set to over-fit less at no cost."
    ),
    data=data,
    draw=draw,
)
