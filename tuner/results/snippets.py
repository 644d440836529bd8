"""Snippets: a study, a trial and a comparison as small HTML, for notebooks.

What they say is what the terminal says: tables and sentences are shared with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.core import words
from tuner.core.markup import Markup, element, joined, snippet, table
from tuner.judging.sentences import sentences
from tuner.results import overview, side_by_side

if TYPE_CHECKING:
    from tuner.results.comparison import Comparison
    from tuner.results.study import Study
    from tuner.results.trial import TrialView


@dataclass(frozen=True)
class EmbeddedPage:
    """A whole page within a notebook, in a frame of its own.

    Attributes:
        html: the page.
        height: of the frame, in pixels.
    """

    html: str
    height: int

    def _repr_html_(self) -> str:
        # Its scripts run, but reach nothing of the notebook.
        allowed = "allow-scripts allow-downloads allow-popups"
        style = f"width: 100%; height: {self.height}px; border: 0"
        return element("iframe", srcdoc=self.html, sandbox=allowed, style=style)


def of_study(study: Study) -> str:
    """How it stands, which trial to take and why, and that trial beside the default."""
    summary = study.summary
    why = f", {summary.reason}" if summary.reason and not summary.is_driven else ""
    trials = words.count(len(study.records), "trial")
    parts = [
        element("p", element("b", study.name), f": {summary.status}{why}; {trials}"),
        *(element("p", sentence) for sentence in sentences(study.verdict)),
    ]
    if study.verdict.taken is not None:
        views = overview.beside(study)
        settings = "settings" if len(views) == 1 else "settings that differ"
        parts += [overview.measured(views).markup(), _folded(settings, overview.settings(views).markup())]
    elif study.records:
        parts.append(element("p", study.why_failed))
    if study.notes:
        notes = joined(element("p", note, class_="quiet") for note in study.notes)
        parts.append(_folded("notes", notes))
    return snippet(*parts)


def of_trial(view: TrialView) -> str:
    """What was measured of it, its settings, and why it ended."""
    record = view.record
    why = f", {record.reason}" if record.reason else ""
    told = element("p", element("b", f"trial {view.number}"), f" of {view.study.name}: {record.state}{why}")
    return snippet(told, overview.measured([view]).markup(), overview.settings([view]).markup())


def of_comparison(comparison: Comparison) -> str:
    """What was measured of each study, and whether they differ by more than chance explains."""
    said = [pair.sentence for pair in comparison.pairs] + [comparison.data]
    head = ["", *(side.study for side in comparison.sides)]
    measured = table(head, side_by_side.overview(comparison))
    return snippet(*(element("p", sentence) for sentence in said), measured)


def _folded(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content)
