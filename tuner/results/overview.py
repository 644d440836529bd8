"""Overview: the tables of text that the terminal and the report share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.core import words
from tuner.core.markup import Markup, table
from tuner.core.objectives import whole_names
from tuner.core.space import is_same
from tuner.core.trial import Origin, Params, TrialRecord, TrialState
from tuner.judging.intervals import Interval
from tuner.judging.sentences import label, named_trial
from tuner.judging.simple import beside_simple
from tuner.judging.verdict import Verdict

if TYPE_CHECKING:
    from tuner.results.study import Study
    from tuner.results.trial import TrialView

MEASURED = ("val_loss", "train_loss", "val_score", "train_score", "gap")
"""The numbers of trials to show, if any trial has them."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text.

    Attributes:
        head: the columns' headings.
        rows: a cell for each column; the first one names the row.
        marked: the index of the row that stands out.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    marked: int | None = None

    def markup(self, most: int | None = None) -> Markup:
        """As HTML, of very many rows the first ones."""
        return table([words.metric(each) for each in self.head], self.rows[:most], self.marked)


def measured(views: Sequence[TrialView]) -> TextTable:
    """The search's measurements of trials side by side: the objectives first, then other numbers."""
    spec = views[0].study.spec
    rows = []
    for name in dict.fromkeys((*spec.objectives().names, *MEASURED)):
        cells = readings(views, name)
        if set(cells) != {words.ABSENT}:
            its = spec.trainer.score_name
            score = f" ({its})" if its and name.endswith("_score") else ""
            rows.append((words.metric(name) + score, *cells))
    rows.append(("best epoch", *map(_epoch, views)))
    return TextTable(("", *(label(view.number) for view in views)), rows)


def settings(views: Sequence[TrialView]) -> TextTable:
    """The settings in which two trials differ; of one trial all."""
    first, params = views[0].record.params, [view.record.params for view in views]
    names = list(first) if len(views) == 1 else differing(*params)
    rows = [(name, *words.settings(each.get(name) for each in params)) for name in names]
    return TextTable(("", *(label(view.number) for view in views)), rows)


def beside(study: Study) -> list[TrialView]:
    """The trial to take and the default; the default alone where that is the one to take."""
    taken = study.recommended
    return [study.default] if taken.number == study.default.number else [taken, study.default]


def differing(one: Params, other: Params) -> list[str]:
    """The names of the settings that two configurations do not share, in their order."""
    names = dict.fromkeys((*one, *other))
    return [n for n in names if n not in one or n not in other or not is_same(one[n], other[n])]


def trained_again(verdict: Verdict) -> TextTable | None:
    """The results of the confirmation; None where there is none."""
    found = verdict.confirmation
    if found is None:
        return None
    others = [
        name for name in verdict.objectives.names if any(name in each.measured for each in found.candidates)
    ]
    rows = []
    for each in found.candidates:
        size = words.ABSENT if each.size_bytes is None else f"{each.size_bytes / 1000:.1f} kB"
        means = (words.number(each.measured.get(name)) for name in others)
        rows.append((label(each.number), words.number(each.searched), words.number(each.mean), *means, size))
    head = ("trained again", f"{found.metric} in the search", f"mean of {found.repeats}", *others, "weights")
    taken = [each.number for each in found.candidates].index(found.choice.recommended)
    return TextTable(head, rows, taken)


def simple(study: Study) -> tuple[str, TextTable] | None:
    """On which rows, and the trial to take beside the baselines; None where none are trained."""
    found = beside_simple(study.verdict, study.baselines)
    if found is None:
        return None
    columns = {"loss": [row.loss for row in found.rows], found.score: [row.score for row in found.rows]}
    known = {name: _intervals(column) for name, column in columns.items() if any(column[1:])}
    cells = {**known, **({"trainings": [str(r.trainings) for r in found.rows]} if found.is_tested else {})}
    names = [
        row.name if row.left_out is None else f"{row.name}, left out: {row.left_out}" for row in found.rows
    ]
    return found.where, TextTable(("", *cells), list(zip(names, *cells.values(), strict=True)), 0)


def _intervals(column: Sequence[Interval | None]) -> list[str]:
    told = iter(words.numbers(*(each.estimate for each in column if each)))
    return [words.ABSENT if each is None else f"{next(told)}{_ends(each)}" for each in column]


def _ends(interval: Interval) -> str:
    if interval.low == interval.high:
        return ""
    return " ({} to {})".format(*words.numbers(interval.low, interval.high))


def within(study: Study, limits: Mapping[str, float]) -> str:
    """Which trial to take where numbers have a limit, and what it is, in a sentence.

    Raises:
        TrialError: see `Study.best_within`.
    """
    limits = whole_names(limits, study.frame.measured)
    view = study.best_within(limits)
    names = dict.fromkeys((*study.spec.objectives().names, *limits))
    has = ", ".join(f"{words.metric(name)} {readings([view], name)[0]}" for name in names)
    told = words.listed([f"{words.metric(name)} of at most {limit:g}" for name, limit in limits.items()])
    return f"For {told} take {named_trial(view.number)}: {has}, in the search."


def front(study: Study) -> tuple[TextTable, list[TrialView]]:
    """The objectives and bounded numbers of the trials that no other one dominates, and these trials."""
    names = study.spec.objectives().names
    views = [study.trial(number) for number in study.verdict.front]
    columns = [readings(views, name) for name in names]
    rows = list(zip((str(view.number) for view in views), *columns, strict=True))
    return TextTable(("trial", *names), rows), views


def best_trials(
    study: Study, most: int, numbers: Sequence[str] = MEASURED
) -> tuple[TextTable, list[TrialRecord]]:
    """The best trials, best first, and their records; settings are added by the caller.

    Those that were cut short before their worth was known come behind those whose value stands, and
    behind these come those that violate a constraint. `numbers` are shown beside those of the objectives.
    """
    objectives = study.spec.objectives()
    ranked = sorted((record for record in study.records if record.value is not None), key=objectives.key)[
        :most
    ]
    names = dict.fromkeys((*numbers, *objectives.names))
    others = [name for name in names if name != objectives.primary.metric and _is_known(name, ranked)]
    head = ["trial", objectives.primary.metric, *others, "epochs"]
    columns = [
        [f"{each.number} (default)" if each.number == 0 else str(each.number) for each in ranked],
        words.numbers(*(record.value for record in ranked)),
        *(words.numbers(*(r.best.get(name) if r.best else None for r in ranked)) for name in others),
        [str(record.epochs) for record in ranked],
    ]
    if any(record.interruptions for record in ranked):
        head.append("interrupted")
        columns.append([str(record.interruptions) for record in ranked])
    head.append("ended")
    columns.append([_ended(record) for record in ranked])
    default = next((i for i, record in enumerate(ranked) if record.number == 0), None)
    return TextTable(tuple(head), list(zip(*columns, strict=True)), default), ranked


def readings(views: Sequence[TrialView], name: str) -> list[str]:
    """A number of trials at their best epochs, each with its standard error where there is one."""
    bests = [view.reading for view in views]
    return words.numbers(
        *(best.get(name) if best else None for best in bests),
        errors=[best.error(name) if best else math.nan for best in bests],
    )


def _epoch(view: TrialView) -> str:
    epoch = view.reading.epoch if view.reading is not None else None
    cut = ", stopped" if view.record.state is TrialState.STOPPED else ""
    return f"{words.setting(epoch)} of {view.record.epochs}{cut}"


def _ended(record: TrialRecord) -> str:
    return str(record.origin) if record.origin is Origin.IMPORTED else record.rule or str(record.state)


def _is_known(name: str, records: Iterable[TrialRecord]) -> bool:
    return any(record.best is not None and math.isfinite(record.best.get(name)) for record in records)
