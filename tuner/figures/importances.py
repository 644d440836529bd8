"""Importances: how much each parameter explains of the value and, beside it, of the gap.

The shares are worked out elsewhere and come with the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.figures.figure import Drawing, Figure, Nothing
from tuner.figures.frame import Frame
from tuner.figures.numbers import listed
from tuner.figures.theme import Theme, safe

MOST = 15


@dataclass(frozen=True)
class Importances:
    """What the figure shows; the most important parameter comes first.

    Attributes:
        parameters: names.
        value: each one's share of what sets good values apart; None where it is not known.
        gap: likewise of the gap.
    """

    parameters: tuple[str, ...]
    value: tuple[float | None, ...]
    gap: tuple[float | None, ...]


def data(frame: Frame) -> Importances:
    """Shares by parameter, those of the value deciding the order."""
    value, gap = frame.importances.get("value", {}), frame.importances.get("gap", {})
    if not value and not gap:
        raise Nothing("Too few trials to say which parameters matter: about ten that end are needed.")
    names = sorted({*value, *gap}, key=lambda name: (-value.get(name, 0.0), -gap.get(name, 0.0), name))[:MOST]
    return Importances(
        tuple(names), tuple(value.get(name) for name in names), tuple(gap.get(name) for name in names)
    )


def draw(columns: Importances, theme: Theme) -> Drawing:
    """Two bars per parameter."""
    names = [safe(name, 28) for name in columns.parameters]
    places = list(range(len(names)))
    traces = []
    for label, shares, hue in (
        ("for the value", columns.value, theme.blue),
        ("for the gap", columns.gap, theme.orange),
    ):
        if any(share is not None for share in shares):
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": label,
                    "x": listed([float("nan") if share is None else share for share in shares]),
                    "y": places,
                    "text": names,
                    "textposition": "none",
                    "marker": {"color": hue},
                    "hovertemplate": f"%{{text}} {label}: %{{x:.0%}}<extra></extra>",
                }
            )
    y = theme.axis(tickmode="array", tickvals=places, ticktext=names, autorange="reversed", showgrid=False)
    x = theme.axis("share of what sets the best apart", tickformat=".0%", rangemode="tozero")
    layout = theme.layout(x, y, barmode="group", bargap=0.3)
    layout["margin"]["l"] = max(64, 20 + 7 * max(map(len, names)))
    return {"data": traces, "layout": layout}


FIGURE = Figure(
    name="importances",
    title="Importances",
    help=(
        "How much each parameter decides about the value (blue) and about the gap (orange); each colour "
        "sums to 100 %. Tune the long bars; a parameter that matters for the gap but not for the value "
        "can be set to over-fit less at no cost."
    ),
    data=data,
    draw=draw,
)
