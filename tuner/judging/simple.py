"""Something simple beside the trial to take: baselines on the same rows, in a table and a sentence.

On the locked test rows where a confirmation has read them, else on the validation rows of the search. Whether
a network beats them is a finding's affair (`findings.simple_is_as_good`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuner.core import words
from tuner.core.baseline import Baseline, named
from tuner.judging.confirmation import Confirmation
from tuner.judging.intervals import Interval
from tuner.judging.sentences import named_trial
from tuner.judging.verdict import Verdict


@dataclass(frozen=True, slots=True)
class SimpleRow:
    """What a trial or a baseline has reached.

    Attributes:
        name: in words.
        loss: with its confidence interval on locked rows; its ends are the estimate where there is none.
        score: likewise; None for what was not measured.
        trainings: how many models of it there are.
        left_out: why there are none, in words.
    """

    name: str
    loss: Interval | None = None
    score: Interval | None = None
    trainings: int = 1
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class BesideSimple:
    """The trial to take, or the search's best, and the baselines on the same rows.

    Attributes:
        where: these rows, in words.
        score: the name of the score.
        by_score: whether the study searches for the score, and not for a loss.
        is_tested: whether the rows are locked ones, so that there are intervals.
        rows: the trial first, then what was trained, the best first, then what was left out.
    """

    where: str
    score: str
    by_score: bool
    is_tested: bool
    rows: tuple[SimpleRow, ...]

    @property
    def sentence(self) -> str:
        """The numbers of all, in one sentence, and what was left out."""
        known = [row for row in self.rows if row.left_out is None]
        columns = {
            name: words.numbers(*(None if each is None else each.estimate for each in column))
            for name, column in ((self.score, [r.score for r in known]), ("loss", [r.loss for r in known]))
            if any(column[1:])
        }
        order = sorted(columns, key=lambda name: (name == "loss") is self.by_score)
        by = " (and ".join(order) + ")" * (len(order) > 1)
        cells = zip(*(columns[name] for name in order), strict=True)
        told = [
            f"{row.name}{' has' * (row is self.rows[0])} {' ('.join(cell)}{')' * (len(cell) > 1)}"
            for row, cell in zip(known, cells, strict=True)
        ]
        left = "".join(
            f" {r.name[:1].upper()}{r.name[1:]} {_were(r.name)} left out: {r.left_out}."
            for r in self.rows
            if r.left_out is not None
        )
        return f"Beside something simple, by {by} on {self.where}: {', '.join(told)}.{left}"


def beside_simple(verdict: Verdict, baselines: Sequence[Baseline]) -> BesideSimple | None:
    """The trial to take beside the baselines of its search; None where there are none."""
    found, by_score = verdict.confirmation, verdict.metric.endswith("_score")
    if found is not None and found.test is not None and found.baselines:
        where = f"the {words.count(found.test.rows, 'locked row')}"
        return BesideSimple(where, found.score, by_score, True, tuple(_tested(found, by_score)))
    best = verdict.best.best if verdict.best is not None else None
    if best is None or verdict.best is None or not baselines:
        return None
    first = SimpleRow(named_trial(verdict.best.number), _number(best.val_loss), _number(best.val_score))
    others = [
        SimpleRow(named(b.kind, b.says), _number(b.val_loss), _number(b.val_score), left_out=b.left_out)
        for b in baselines
    ]
    rows = (first, *_sorted(others, by_score, falls=baselines[0].score_falls))
    where = f"the {words.count(baselines[0].rows, 'validation row')}"
    return BesideSimple(where, baselines[0].score, by_score, False, rows)


def _tested(found: Confirmation, by_score: bool) -> Iterator[SimpleRow]:
    if found.test is None:
        return
    loss, score = found.test.of_kept
    yield SimpleRow(named_trial(found.choice.recommended), loss, score, found.repeats)
    others = [
        SimpleRow(named(b.kind, b.says), b.loss, b.score, b.trainings, b.left_out) for b in found.baselines
    ]
    yield from _sorted(others, by_score, falls=found.score_falls)


def _sorted(rows: Sequence[SimpleRow], by_score: bool, *, falls: bool) -> list[SimpleRow]:
    """The best first, by what the study searches for."""
    by_score = by_score or not any(row.loss for row in rows)

    def key(row: SimpleRow) -> float:
        value = row.score if by_score else row.loss
        if row.left_out is not None or value is None:
            return math.inf
        return -value.estimate if by_score and not falls else value.estimate

    return sorted(rows, key=key)


def _number(value: float) -> Interval | None:
    return Interval(value, value, value) if math.isfinite(value) else None


def _were(name: str) -> str:
    return "were" if name.endswith("s") and not name.startswith(("a ", "always")) else "was"
