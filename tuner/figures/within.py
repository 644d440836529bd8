"""Within: the trials whose points lie in a box or a lasso of a figure, drawn or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tuner.core.columns import Bools, Floats
from tuner.core.frame import Frame
from tuner.errors import SpecError
from tuner.figures.figure import Drawing, Figure, plot


@dataclass(frozen=True)
class Area:
    """A box or a lasso.

    Attributes:
        axes: of which panel, e.g. ``("x2", "y")``.
        x: of a box two ends, of a lasso its corners in their order.
        y: likewise.
        is_box: else a lasso.
    """

    axes: tuple[str, str]
    x: Sequence[float]
    y: Sequence[float]
    is_box: bool

    @classmethod
    def read(cls, text: str) -> Area:
        """What the browser sent: ``{"x2": [0, 1], "y": [2, 3], "lasso": false}``.

        Raises:
            SpecError: it is none.
        """
        try:
            table = json.loads(text)
            axes = {name[0]: name for name in table if name[0] in "xy"}
            x, y = ([float(end) for end in table[axes[each]]] for each in "xy")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise SpecError("within: is no box and no lasso") from None
        if len(x) != len(y) or len(x) < 2 or not np.isfinite([x, y]).all():
            raise SpecError("within: is no box and no lasso")
        return cls((axes["x"], axes["y"]), x, y, not table.get("lasso"))

    def holds(self, x: Floats, y: Floats, logs: tuple[bool, bool]) -> Bools:
        """Which of P points lie in it.

        Args:
            x: (P,).
            y: (P,).
            logs: whether each axis is logarithmic; a lasso's sides are straight where they are drawn.
        """
        if self.is_box:
            within = (x >= min(self.x)) & (x <= max(self.x)) & (y >= min(self.y)) & (y <= max(self.y))
            return np.asarray(within)
        with np.errstate(invalid="ignore", divide="ignore"):
            x, corners_x = (_scaled(each, logs[0]) for each in (x, self.x))
            y, corners_y = (_scaled(each, logs[1]) for each in (y, self.y))
            within = np.zeros(len(x), dtype=bool)
            # A point is inside when a ray from it crosses the sides an odd number of times.
            for i in range(len(corners_x)):
                (x1, y1), (x2, y2) = ((corners_x[j], corners_y[j]) for j in (i - 1, i))
                crosses = (y1 > y) != (y2 > y)
                within ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        return within


def within(figure: Figure[Any], frame: Frame, chosen: Mapping[str, Any], area: Area) -> list[int]:
    """The numbers of all trials that have a point in the area, sorted; `chosen` are the figure's options."""
    drawing = plot(figure, replace(frame, is_thinned=False), given=chosen)
    logs = tuple(_is_log(drawing, axis) for axis in area.axes)
    found: set[int] = set()
    for trace in drawing["data"]:
        numbers, axes = trace.get("customdata"), (trace.get("xaxis", "x"), trace.get("yaxis", "y"))
        if numbers is None or axes != area.axes or len(numbers) != len(trace["x"]):
            continue
        x, y = (np.array(trace[each], dtype=float) for each in "xy")
        found |= set(np.asarray(numbers)[area.holds(x, y, (logs[0], logs[1]))].tolist())
    return sorted(found - {-1})


def _is_log(drawing: Drawing, axis: str) -> bool:
    kind: str = drawing["layout"].get(f"{axis[0]}axis{axis[1:]}", {}).get("type", "linear")
    return kind == "log"


def _scaled(values: Floats | Sequence[float], log: bool) -> Floats:
    array = np.asarray(values, dtype=float)
    return np.log10(array) if log else array
