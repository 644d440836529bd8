"""Importances of several studies: how much each parameter explains in each of them, as grouped bars.

A share of the differences of another number says something else; such studies are named instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.core import words
from tuner.core.frame import Frame
from tuner.core.importances import Importances
from tuner.figures.compare import places_of
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.importances import MOST, numbers, parameter_axes, shown_end
from tuner.figures.theme import Theme, safe

EXPLAINS = (("value", "the value"), ("gap", "the gap"))


@dataclass(frozen=True)
class ComparedImportances:
    """What the figure shows; the parameter that explains most of any study comes first.

    Attributes:
        parameters: names.
        shares: each study's name and its shares by parameter; None where the study does not search it, or
            nothing tells its share from chance.
        errors: their standard errors, likewise.
        trials: of how many trials each study's are.
        others: the studies whose number is of another kind.
        silent: what is said of studies that cannot tell yet.
        places: of each study among all, by which its colour is chosen in every figure.
    """

    parameters: tuple[str, ...]
    shares: tuple[tuple[str, tuple[float | None, ...]], ...]
    errors: tuple[tuple[float | None, ...], ...]
    trials: tuple[str, ...]
    others: tuple[str, ...]
    silent: tuple[str, ...]
    places: tuple[int, ...]


def data(frame: Frame, explains: str = "value") -> ComparedImportances:
    """The frame's study and those beside it."""
    frames = (frame, *frame.beside)

    def kind(each: Frame) -> object:
        return each.kind if explains == "value" else each.measure("gap")

    alike = [(e, e.importances.get(explains, Importances())) for e in frames if kind(e) == kind(frame)]
    told = [(each, found) for each, found in alike if found]
    silent = [(each, found) for each, found in alike if not found]
    said = tuple(f"{each.name}: {found.silence}" for each, found in silent)
    if not told:
        raise NothingToPlot(" ".join(said) if len(frames) > 1 else silent[0][1].silence)
    most = {name: max(found.get(name, 0.0) for _, found in told) for _, each in told for name in each}
    names = sorted(most, key=lambda name: (-most[name], name))[:MOST]
    return ComparedImportances(
        parameters=tuple(names),
        shares=tuple((each.name, tuple(map(found.get, names))) for each, found in told),
        errors=tuple(tuple(map(found.errors.get, names)) for _, found in told),
        trials=tuple(f"{found.trials:,} of {words.count(len(each), 'trial')}" for each, found in told),
        others=tuple(each.name for each in frames if kind(each) != kind(frame)),
        silent=said,
        places=places_of(frames, [each for each, _ in told]),
    )


def draw(columns: ComparedImportances, theme: Theme) -> Drawing:
    """A bar per parameter and study, a study in the colour that `compare` gives it."""
    names = [safe(name, 28) for name in columns.parameters]
    traces = []
    of_studies = zip(columns.places, columns.shares, columns.errors, strict=True)
    for i, (study, shares), errors in of_studies:
        said = safe(study, 40)
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": said,
                "x": numbers(shares),
                "error_x": {"array": numbers(errors), "color": theme.text, "thickness": 1.5, "width": 3},
                "y": list(range(len(names))),
                "text": names,
                "textposition": "none",
                "marker": {"color": theme.hues[i % len(theme.hues)]},
                "hovertemplate": f"{said}<br>%{{text}}: %{{x:.0%}} ± %{{error_x.array:.0%}}<extra></extra>",
            }
        )
    others = ", ".join(columns.others)
    note = [f"{name}: of {trials}" for (name, _), trials in zip(columns.shares, columns.trials, strict=True)]
    note += columns.silent
    note += [f"not shown, for their values are of another kind: {others}"] if others else []
    flat = [share for _, shares in columns.shares for share in shares]
    x, y = parameter_axes(theme, names, shown_end(flat, [e for errors in columns.errors for e in errors]))
    layout = theme.layout(x, y, "; ".join(note), barmode="group", bargap=0.3, showlegend=True)
    layout["margin"]["l"] = max(64, 20 + 7 * max(map(len, names)))
    return {"data": traces, "layout": layout}


def options(frame: Frame) -> Sequence[Option]:  # noqa: ARG001
    """What the parameters are to explain."""
    return (Option("explains", "explains", "value", EXPLAINS),)


FIGURE = Figure(
    name="compare_importances",
    title="Importances in the studies",
    help=(
        "How much of the difference between a study's trials each parameter explains, with the standard "
        "error, for several studies side by side. A parameter that is long in every study matters whatever "
        "else was changed; one that is long in a single study depends on what that study does differently. A "
        "missing bar is a parameter that the study does not search, or whose share chance explains as well."
    ),
    data=data,
    draw=draw,
    options=options,
)
