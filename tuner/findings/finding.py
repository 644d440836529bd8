"""Finding: a sentence about a study, the numbers it rests on and what to do; asking every plugin.

Each finding has a file of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from tuner import registry
from tuner.core.markup import element, snippet
from tuner.findings.evidence import Evidence

GROUP = "tuner.findings"
"""The entry points that findings are registered under: functions ``find(evidence) -> Finding | None``."""

_log = logging.getLogger(__name__)


class Severity(IntEnum):
    """How much a finding matters."""

    NOTE = 1
    """Good to know."""
    ADVICE = 2
    """A better result is likely to be had."""
    WARNING = 3
    """The result should not be trusted, or much of the work was wasted."""


@dataclass(frozen=True)
class Finding:
    """What a study has shown.

    Attributes:
        name: what it is registered under.
        sentence: one sentence for readers who are not statisticians.
        numbers: what the sentence rests on.
        advice: what to do, in one sentence.
        severity: how much it matters.
    """

    name: str
    sentence: str
    numbers: Mapping[str, float | str]
    advice: str
    severity: Severity


class Findings(list[Finding]):
    """The findings about a study, what matters most first."""

    def _repr_html_(self) -> str:
        said = [
            element("p", each.sentence, " ", element("span", each.advice, class_="quiet")) for each in self
        ]
        return snippet(*(said or [element("p", "Nothing calls for a change.")]))


def of_the_best(some: int, count: int) -> str:
    """How many of the best trials, as the beginning of a sentence."""
    if count == 1:
        return "The best trial"
    return f"The best {count} trials" if some == count else f"{some} of the best {count} trials"


def all_of(evidence: Evidence) -> Findings:
    """What every registered plugin finds, what matters most first.

    A plugin that cannot be loaded, raises or returns something else is logged and left out: words
    about a study never stand in the study's way.
    """
    found = []
    for name, point in sorted(registry.registered(GROUP).items()):
        try:
            finding = point.load()(evidence)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001
            _log.exception("finding '%s' failed", name)
            continue
        if isinstance(finding, Finding):
            found.append(finding)
        elif finding is not None:
            _log.error("finding '%s' returned %r; return a Finding or None", name, finding)
    return Findings(sorted(found, key=lambda finding: -finding.severity))
