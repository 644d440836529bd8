"""Theme: colours, layout and axes of every figure, and the one place where text is made safe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

NOTE = "note"
"""The name of small print among the annotations."""

LINE = 46
"""Characters in a line of what stands in place of a drawing; so many fit on a telephone."""

LONGEST_TITLE = 36
"""Characters of an axis' title; so many fit beside a figure of half a page."""

_UNSAFE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def shortened(text: object, longest: int) -> str:
    """A text in one line; what is too long loses its middle, since names often differ at their ends."""
    plain = " ".join(str(text).split())
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest // 2]}…{plain[len(plain) - (longest - 1) // 2 :]}"


def safe(text: object, longest: int = 200) -> str:
    """A user's text as Plotly shows it letter by letter, `shortened`.

    Plotly reads a subset of HTML in every text, and ``%{...}`` in those of hover; it shows
    character references as their characters.
    """
    return shortened(text, longest).translate(_UNSAFE).replace("%{", "%&#123;").replace("$", "&#36;")


def faint(hue: str, share: float) -> str:
    """A colour that is given as #rrggbb, so that the ground shows through: 0 is all, 1 nothing of it."""
    red, green, blue = _rgb(hue)
    return f"rgba({red},{green},{blue},{share})"


@dataclass(frozen=True)
class Theme:
    """Colours that people with any colour vision tell apart, on a dark or a light ground.

    The hues are from Okabe and Ito (2008, "Color Universal Design"), lightened on dark.

    Attributes:
        name: ``"light"`` or ``"dark"``.
        paper: the ground of exported figures; in a page the page's own shows through.
        text: letters.
        muted: axes, notes, what stands back.
        grid: grid lines.
        hues: for studies and choices, in turn.
        scale: dark to light, for numbers; (share, colour) pairs.
    """

    name: str
    paper: str
    text: str
    muted: str
    grid: str
    blue: str
    orange: str
    green: str
    red: str
    purple: str
    sky: str
    yellow: str
    brown: str
    scale: tuple[tuple[float, str], ...]

    @property
    def hues(self) -> tuple[str, ...]:
        """For studies and choices, in turn."""
        return (self.blue, self.orange, self.green, self.purple, self.red, self.sky, self.yellow, self.muted)

    def layout(
        self, x: dict[str, Any] | None = None, y: dict[str, Any] | None = None, note: str = "", **more: Any
    ) -> Any:
        """A layout with these axes and this `note`; `more` goes into it as it is."""
        return {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": self.text, "size": 12},
            "margin": {"l": 64, "r": 16, "t": 50, "b": 50},
            "hovermode": "closest",
            "hoverlabel": {
                "align": "left",
                "namelength": -1,
                "bgcolor": self.paper,
                "bordercolor": self.muted,
                "font": {"color": self.text, "size": 12},
            },
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
            "colorway": list(self.hues),
            "xaxis": x or self.axis(),
            "yaxis": y or self.axis(),
            "annotations": [self.note(note)] if note else [],
            **more,
        }

    def axis(self, title: str = "", *, log: bool = False, **more: Any) -> dict[str, Any]:
        """An axis; its title is made safe."""
        return {
            "title": {"text": safe(title, LONGEST_TITLE), "standoff": 8},
            "type": "log" if log else "linear",
            "gridcolor": self.grid,
            "linecolor": self.grid,
            "zerolinecolor": self.grid,
            # Room for numbers is there; Plotly draws twice where it must look how long labels are.
            "automargin": "ticktext" in more,
            # Else every label is measured, which takes as long as drawing the axes.
            "ticklabeloverflow": "allow",
            # One style: thousands separated, no SI letters; powers only where zeros would be counted.
            "separatethousands": True,
            "exponentformat": "e",
            "minexponent": 6,
            # Whole numbers instead of powers with lone digits between them.
            **({"tickformat": ",~g", "nticks": 5} if log else {}),
            **more,
        }

    def note(self, text: str) -> dict[str, Any]:
        """Small print below the plot, as an annotation; `plot` makes room for it."""
        return {
            "name": NOTE,
            "text": "<br>".join(safe(line) for line in wrap(text, 56)),
            "showarrow": False,
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": 0,
            "xanchor": "left",
            "yanchor": "top",
            "yshift": -48,
            "align": "left",
            "font": {"size": 11, "color": self.muted},
        }

    def heading(self, text: str) -> dict[str, Any]:
        """The heading of a panel, as an annotation that still needs a place."""
        return {
            "text": f"<b>{safe(text, 40)}</b>",
            "showarrow": False,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "bottom",
            "yshift": 3,
            "font": {"size": 12, "color": self.text},
        }

    def add_default(self, layout: dict[str, Any], y: float, *, log: bool) -> None:
        """Draw the default configuration across a plot at a height: a dashed line, named at its right end."""
        line = {"color": self.purple, "width": 2, "dash": "dash"}
        across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}
        label = {
            "text": "default configuration",
            "showarrow": False,
            "xref": "paper",
            "x": 1,
            "y": math.log10(y) if log and y > 0 else y,  # annotations count in powers on such an axis
            "xanchor": "right",
            "yanchor": "bottom",
            "font": {"size": 11, "color": self.purple},
            "bgcolor": faint(self.paper, 0.75),
        }
        layout.setdefault("shapes", []).append(across)
        layout["annotations"].append(label)

    def empty(self, text: str) -> dict[str, Any]:
        """A figure that says in words why it shows nothing."""
        text = "<br>".join(safe(line) for line in wrap(text, LINE, max_lines=6, placeholder=" …"))
        said = {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        hidden = {"visible": False}
        font = {"size": 13, "color": self.muted}
        return {
            "data": [],
            "layout": self.layout(hidden, dict(hidden), annotations=[{**said, "font": font}]),
        }


# viridis (van der Walt and Smith 2015), nine of its colours.
_VIRIDIS = (
    "#440154",
    "#472d7b",
    "#3b528b",
    "#2c728e",
    "#21918c",
    "#28ae80",
    "#5ec962",
    "#addc30",
    "#fde725",
)


def _part(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """The colours between two shares of viridis: on either ground those that stand out from it."""
    found = []
    for i in range(9):
        place = 8 * (low + (high - low) * i / 8)
        below = min(int(place), 7)
        pairs = zip(_rgb(_VIRIDIS[below]), _rgb(_VIRIDIS[below + 1]), strict=True)
        mixed = (round(a + (b - a) * (place - below)) for a, b in pairs)
        found.append((i / 8, "#" + "".join(f"{each:02x}" for each in mixed)))
    return tuple(found)


def _rgb(hue: str) -> tuple[int, int, int]:
    return int(hue[1:3], 16), int(hue[3:5], 16), int(hue[5:7], 16)


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    text="#1a1b1e",
    muted="#646b72",
    grid="#e3e6ea",
    blue="#0072b2",
    orange="#b87400",
    green="#00916a",
    red="#d55e00",
    purple="#b05a90",
    sky="#2f93cf",
    yellow="#8a7f00",
    brown="#7d5233",
    scale=_part(0.0, 0.58),
)
DARK = Theme(
    name="dark",
    paper="#1a1b1e",
    text="#e9ecef",
    muted="#a0a3a8",
    grid="#373a40",
    blue="#56b4e9",
    orange="#e69f00",
    green="#2fc79b",
    red="#ff8a4c",
    purple="#dd94bd",
    sky="#9fd3f2",
    yellow="#f0e442",
    brown="#c69a6d",
    scale=_part(0.36, 1.0),
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}
"""The themes by name."""
