"""Comparing: studies beside each other in a table, and what can be told of their difference.

The sentences are those of `tune compare`, which also tells what differs between the studies' files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from shlex import quote

from dash import html
from dash.development.base_component import Component

from tuner.core import words
from tuner.judging.pairs import Estimate, Pair
from tuner.judging.sentences import short
from tuner.web.attributes import attributes, button
from tuner.web.live import LiveSnapshot
from tuner.web.parts import box, text_table
from tuner.web.route import address


def compared(snapshots: Sequence[LiveSnapshot]) -> list[Component]:
    """A table of these studies, the first of which is the page's, and a sentence for every pair with it."""
    if len(snapshots) < 2:
        return []
    first, names = snapshots[0], [each.summary.name for each in snapshots]
    estimates = [_estimate(each) for each in snapshots]
    metric = first.frame.label(first.frame.objective.metric)
    intervals = [
        words.ABSENT if each is None or each.interval is None else " to ".join(words.numbers(*each.interval))
        for each in estimates
    ]
    body = [
        ("", ["state", *(each.summary.status for each in snapshots)]),
        ("", ["searched for", *(each.frame.label(each.frame.objective.metric) for each in snapshots)]),
        ("", ["search's best", *words.numbers(*(each.summary.best_value for each in snapshots))]),
        ("", ["to take", *(_taken(each) for each in snapshots)]),
        ("", ["to be expected (95 %)", *intervals]),
        ("", ["trials", *(f"{len(each.frame):,}" for each in snapshots)]),
        ("", ["epochs", *(f"{int(each.frame.trials.epochs.sum()):,}" for each in snapshots)]),
        ("", ["time", *(words.duration(each.summary.seconds) for each in snapshots)]),
    ]
    heads: list[str | Component] = ["", *(html.A(name, href=address(name)) for name in names)]
    told = [html.P(_beside(first, other, metric, len(snapshots) - 1)) for other in snapshots[1:]]
    command = f"tune compare {' '.join(map(quote, names))}"
    copied = button(html.Code(command), title="copy", **attributes(copy=command))
    told.append(html.P(["What differs between their files: ", copied], className="quiet"))
    return [box("Beside each other", text_table(heads, body), *told, width="full findings")]


def _taken(snapshot: LiveSnapshot) -> str:
    return words.ABSENT if snapshot.verdict.number is None else short(snapshot.verdict)


def _estimate(snapshot: LiveSnapshot) -> Estimate | None:
    """What is to be expected of the study's trial to take; None before any trial has a value."""
    frame, found = snapshot.frame, snapshot.confirmation
    if frame.best is None:
        return None
    if found is not None:
        return Estimate.confirmed(found, snapshot.spec.search.seed, len(frame))
    best = frame.record(int(frame.trials.number[frame.best]))
    value = math.nan if best is None or best.value is None else best.value
    return Estimate.searched(snapshot.spec, snapshot.summary.facts, value, best.best if best else None)


def _beside(first: LiveSnapshot, other: LiveSnapshot, metric: str, pairs: int) -> str:
    one, two = _estimate(first), _estimate(other)
    name = other.summary.name
    if first.frame.kind != other.frame.kind:
        return (
            f"{name} searches for something else, or measures it in another way: the two cannot be compared."
        )
    if one is None or two is None:
        return f"{name if two is None else first.summary.name} has no value yet."
    sides = [(first, one), (other, two)]
    sides.sort(key=lambda side: side[1].value * (1 if first.frame.objective.minimize else -1))
    is_same = first.spec.data == other.spec.data if first.spec.data is not None else None
    pair = Pair.of(
        (sides[0][0].summary.name, sides[0][1]),
        (sides[1][0].summary.name, sides[1][1]),
        metric,
        minimize=first.frame.objective.minimize,
        is_same=is_same,
        are_confirmed=first.confirmation is not None and other.confirmation is not None,
        pairs=pairs,
    )
    return pair.sentence
