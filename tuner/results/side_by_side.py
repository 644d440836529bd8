"""Side by side: a comparison of studies as tables of text, and as a page for the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuner import figures
from tuner.core import words
from tuner.core.frame import Frame
from tuner.core.markup import Markup, element, joined, table
from tuner.judging.pairs import Estimate
from tuner.results.markup import STYLE, card, library

if TYPE_CHECKING:
    from tuner.results.comparison import ComparedStudy, Comparison, CostToReach
    from tuner.results.study import Study


def overview(comparison: Comparison) -> list[tuple[str, ...]]:
    """What was measured of each study, as text: a name and a cell for every study."""
    metric = words.metric(comparison.metric)
    rows: list[tuple[str, Callable[[ComparedStudy], str]]] = [
        ("state", lambda side: side.state),
        (f"best {metric}", lambda side: f"{words.number(side.found)} (trial {side.best})"),
        ("to be taken", lambda side: f"trial {side.recommended}"),
        ("to be expected", lambda side: _expected(side.estimate)),
        ("rests on", lambda side: side.estimate.basis),
        (f"default's {metric}", lambda side: words.number(side.default)),
        ("its gap", lambda side: words.number(side.gap)),
        ("trials", lambda side: f"{side.trials:,}"),
        ("epochs", lambda side: f"{side.epochs:,}"),
        ("time", lambda side: words.duration(side.seconds)),
        ("as good as the worst after", lambda side: _reach(side.reach)),
    ]
    return [(name, *(cell(side) for side in comparison.sides)) for name, cell in rows]


def settings(comparison: Comparison) -> list[tuple[str, ...]]:
    """The best trials' configurations, as text: a parameter and a cell for every study."""
    names = dict.fromkeys(name for side in comparison.sides for name in side.params)
    return [(name, *words.settings(side.params.get(name) for side in comparison.sides)) for name in names]


def _expected(estimate: Estimate) -> str:
    if estimate.interval is None:
        return "not known"
    return f"{words.number(estimate.interval[0])} to {words.number(estimate.interval[1])}"


def _reach(reach: CostToReach | None) -> str:
    if reach is None:
        return words.ABSENT
    trained = f"{words.count(reach.trials, 'trial')}, {words.count(reach.epochs, 'epoch')}"
    return f"{trained}, {words.duration(reach.seconds)}"


def page(comparison: Comparison, studies: Sequence[Study]) -> str:
    """The comparison of these studies as a self-contained HTML document."""
    head = ["", *(side.study for side in comparison.sides)]
    first, *others = (study.explained for study in studies)
    together, figure = replace(first, beside=tuple(others)), figures.find("compare")
    drawn = [_drawn(figure, together, f"Over {axis}", {"axis": axis}) for axis in ("trials", "seconds")]
    more = (
        figures.find(f"tuner.figures.{name}:FIGURE") for name in ("compare_curves", "compare_importances")
    )
    said = [pair.sentence for pair in comparison.pairs] + [comparison.data]
    body = [
        element("h1", words.listed([side.study for side in comparison.sides])),
        element("h2", "Result"),
        card(*(element("p", sentence) for sentence in said), mood="verdict"),
        element("h2", "Side by side"),
        card(table(head, overview(comparison))),
        element("h2", "Best value so far"),
        element("p", figure.help, class_="quiet"),
        element("div", *drawn, class_="figures"),
        element("h2", "Curves and importances"),
        element("div", *(_drawn(each, together, each.title, {}) for each in more), class_="figures"),
        element("h2", "The best settings"),
        card(table(head, settings(comparison))),
        element("h2", "How the studies differ"),
        card(table(["key", *head[1:]], [(key, *cells) for key, cells in comparison.differences.items()])),
    ]
    title = f"{' / '.join(head[1:])} - tuner"
    return figures.document(title, joined(body), library(), STYLE)


def _drawn(figure: figures.Figure[Any], frame: Frame, title: str, chosen: Mapping[str, Any]) -> Markup:
    light, dark = (figures.plot(figure, frame, theme, chosen) for theme in (figures.LIGHT, figures.DARK))
    return card(element("h3", title), Markup(figures.figure_html(light, dark)))
