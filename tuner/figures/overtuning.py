"""Overtuning: validation against test along the incumbents, once the test was opened.

Takes the numbers of a confirmation, not a frame, so only reports show it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core import words
from tuner.figures.figure import Drawing
from tuner.figures.numbers import listed
from tuner.figures.theme import Theme

HELP = (
    "Every trial that was the best so far, from the default configuration to the last one, by the validation "
    "rows that chose it and by the unseen test rows. Good is when both lines run in the same direction; "
    "where the test line turns back, the search followed the luck of its validation rows."
)


def path(
    numbers: Sequence[int],
    validation: Sequence[float],
    test: Sequence[float],
    metric: str,
    theme: Theme,
    trials: int,
) -> Drawing:
    """Two lines over the incumbents.

    Args:
        numbers: (S,) their trial numbers, in the order of the search.
        validation: (S,) their values in the search.
        test: (S,) the same measure on the test rows.
        metric: what it is called.
        theme: in which colours.
        trials: how many the search has.
    """
    lines = (("validation", validation, theme.blue, "solid"), ("test", test, theme.orange, "dash"))
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": list(range(len(numbers))),
            "y": listed(values, 6),
            "line": {"color": hue, "width": 2, "dash": dash},
            "hovertemplate": f"{name} %{{y}}<extra></extra>",
        }
        for name, values, hue, dash in lines
    ]
    x = theme.axis(
        "the best trial so far",
        tickmode="array",
        tickvals=list(range(len(numbers))),
        ticktext=["default" if number == 0 else str(number) for number in numbers],
    )
    others = words.count(trials - len(numbers), "trial")
    note = f"left out: {others} that never had the best value so far" if trials > len(numbers) else ""
    return {"data": traces, "layout": theme.layout(x, theme.axis(metric), note, showlegend=True)}
