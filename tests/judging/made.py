"""Verdicts that are made up: records, a confirmation of them, and a table of cases.

``python -m tests.judging.made`` prints the table with its words, as ``verdicts.txt`` beside it holds them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tuner.core.frame import Frame
from tuner.core.objectives import Constraint, Objectives
from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.judging.choosing import Candidate, choose
from tuner.judging.confirmation import Confirmation, LockedRead, Tested, contenders
from tuner.judging.intervals import Interval, over_repeats
from tuner.judging.measures import scale_of
from tuner.judging.overtuning import Overtuning, Step
from tuner.judging.sentences import sentences, short
from tuner.judging.verdict import Verdict

LOSS = Objectives((Objective(),))
OPENED = (LockedRead("2026-01-01T00:00:00+00:00", "confirm s", "here"),)


def record(
    number: int, value: float | None, gap: float = 0.1, score: float = 0.5, **more: Any
) -> TrialRecord:
    """A trial that trained to its end."""
    best = None if value is None else Reading(4, value - gap, value, 0.9, score, extras=more)
    state = TrialState.FAILED if value is None else TrialState.FINISHED
    reason = "it broke" if value is None else None
    return TrialRecord(number, {}, state, value, best, 4, value is not None, reason=reason)


def candidate(
    number: int, searched: float, *values: float | None, size: int = 100, **measured: Any
) -> Candidate:
    """A trial that was trained again."""
    return Candidate(number, searched, values, size, 10.0, measured)


def confirmed(
    candidates: Sequence[Candidate], objectives: Objectives = LOSS, trials: int = 9, **more: Any
) -> Confirmation:
    """What comes of candidates, the default last."""
    redrawn, objective = more.pop("redrawn", True), objectives.primary
    overlap = 0.25 if redrawn else 0.0
    rivals = contenders(candidates, objectives)
    choice = choose(rivals, minimize=objective.minimize, overlap=overlap)
    chosen = next(each for each in candidates if each.number == choice.recommended)
    searched = [each.searched for each in candidates if each.searched is not None]
    return Confirmation(
        study="s",
        confirmed_by="s~confirm",
        metric=objective.metric,
        minimize=objective.minimize,
        score="accuracy",
        score_falls=False,
        trials=trials,
        train_rows=100 if more.get("test") or not redrawn else 0,
        validation_rows=25,
        redrawn=redrawn,
        candidates=tuple(candidates),
        choice=choice,
        params={},
        search_value=min(searched) if objective.minimize else max(searched),
        confirmed=over_repeats(
            np.array(chosen.values, np.float64), overlap, scale_of(objective.metric, "accuracy"), 25
        ),
        objectives=objectives,
        best=candidates[0].number,
        **{
            "untested": None if more.get("test") else "the study has no [data], so there are no test rows",
            **more,
        },
    )


def verdict(
    records: Sequence[TrialRecord],
    found: Confirmation | None = None,
    objectives: Objectives = LOSS,
    **more: Any,
) -> Verdict:
    """The verdict over records and what was confirmed of them."""
    frame = Frame.of(records, {}, SearchSpace({}, {}), objectives, "s")
    return replace(Verdict.of(frame, records.__getitem__, found), **more)


def on_test(
    gain: tuple[float, float, float] | None = None, loss_gain: tuple[float, float, float] | None = None
) -> Tested:
    """A test on 200 rows, with accuracy and loss."""
    score, loss = Interval(0.95, 0.91, 0.97), Interval(0.2, 0.15, 0.27)
    if gain is None:
        return Tested(200, loss, score, loss, score)
    its = Interval(0.95 - gain[0], 0.9, 0.97)
    mine = loss_gain or (0.01, -0.02, 0.04)
    before = Interval(0.2 + mine[0], 0.1, 0.4)
    return Tested(200, loss, score, before, its, Interval(*mine), Interval(*gain))


def path(*steps: tuple[int, float, float], relative: float | None = 0.0, lost: float = 0.0) -> Overtuning:
    """The search's way: trials with their validation and their test value."""
    return Overtuning(tuple(Step(*each) for each in steps), lost, relative)


ALL = (record(0, 0.5), *(record(n, 0.4 + n / 100) for n in range(1, 8)), record(8, 0.3))
GAP = Objectives((Objective(),), (Constraint("gap", 0.05, is_upper=True),))
PAIR = Objectives((Objective(), Objective("parameters")))
SIZED = (record(0, 0.5, parameters=10), record(1, 0.3, parameters=100), record(2, 0.4, parameters=50))
DEFAULT = candidate(0, 0.5, 0.50, 0.51, 0.49, 0.50)
CLEAR = (candidate(8, 0.3, 0.31, 0.32, 0.30, 0.31), candidate(1, 0.41, 0.45, 0.46, 0.44, 0.45), DEFAULT)
NOT_BEST = (candidate(8, 0.3, 0.51, 0.52, 0.50, 0.51), candidate(1, 0.41, 0.45, 0.46, 0.44, 0.45), DEFAULT)
TIE = (
    candidate(8, 0.3, 0.31, 0.52, 0.40, 0.41),
    candidate(1, 0.41, 0.35, 0.46, 0.44, 0.45),
    candidate(0, 0.5, 0.50, 0.41, 0.39, 0.50),
)


def bounded(*gaps: float) -> list[Candidate]:
    """Candidates of which the better ones over-fit more."""
    return [replace(each, measured={"gap": gap}) for each, gap in zip(CLEAR, gaps, strict=True)]


def sized() -> list[Candidate]:
    """Candidates of which the better ones are larger."""
    values = [(1, 0.3, 0.31, 0.32, 0.30), (2, 0.4, 0.45, 0.46, 0.44), (0, 0.5, 0.50, 0.51, 0.49)]
    return [candidate(*each, parameters=size) for each, size in zip(values, (100.0, 50.0, 10.0), strict=True)]


def cases() -> dict[str, Verdict]:
    """Every kind of result."""
    diverged = TrialRecord(1, {}, TrialState.FINISHED, -14.0, Reading(1, 434.0, 420.0), 1, True)
    learned = record(2, 0.0, gap=-0.1)
    won = on_test((0.03, 0.01, 0.05), (0.2, 0.1, 0.3))
    lost = on_test((-0.03, -0.05, -0.01), (0.02, 0.01, 0.03))
    followed = path((0, 0.5, 0.4), (1, 0.41, 0.1), (8, 0.3, 0.2), lost=0.1, relative=0.33)
    larger = Objectives((Objective("val_score", minimize=False),))
    return {
        "nothing has begun": verdict([]),
        "nothing has a value": verdict([record(0, None)]),
        "the default alone": verdict([record(0, 0.5)]),
        "the default is best": verdict([record(0, 0.1), record(1, 0.2), record(2, 0.3)]),
        "one that is not trained to its end is ahead of the default": verdict(
            [
                record(0, 0.1),
                record(1, 0.2),
                replace(record(2, 0.04), state=TrialState.PAUSED, conclusive=False),
            ]
        ),
        "the search alone": verdict(ALL),
        "still running": verdict(ALL, is_running=True),
        "loss and score disagree": verdict([record(0, 0.5, score=0.9), record(1, 0.3, score=0.8)]),
        "the default failed": verdict([record(0, None), record(1, 0.3)]),
        "the default breaks a constraint": verdict(
            [record(0, 0.5), record(1, 0.6, gap=0.01)], objectives=GAP
        ),
        "the default lacks what a constraint needs": verdict(
            [record(0, 0.5), record(1, 0.6, parameters=3)],
            objectives=Objectives((Objective(),), (Constraint("parameters", 5, is_upper=True),)),
        ),
        "all break a constraint": verdict([record(0, 0.5), record(1, 0.6, gap=0.08)], objectives=GAP),
        "the gap is searched for": verdict(
            [record(0, 0.1), diverged, learned], objectives=Objectives((Objective("gap"),))
        ),
        "two objectives": verdict(SIZED, objectives=PAIR),
        "confirmed: a clear winner": verdict(ALL, confirmed(CLEAR)),
        "confirmed: a clear winner, tested": verdict(
            ALL,
            confirmed(CLEAR, test=won, locked_reads=OPENED, overtuning=path((0, 0.5, 0.4), (8, 0.3, 0.2))),
        ),
        "confirmed: regression": verdict(
            ALL, replace(confirmed(CLEAR, test=won, locked_reads=OPENED), score="r2")
        ),
        "confirmed: the test disagrees, and is opened again": verdict(
            ALL, confirmed(CLEAR, test=lost, locked_reads=OPENED * 2, overtuning=followed)
        ),
        "confirmed: better in the search, worse on the test": verdict(
            ALL,
            confirmed(CLEAR, test=on_test((1e-17, -0.02, 0.02), (-0.01, -0.04, 0.02)), locked_reads=OPENED),
        ),
        "confirmed: a tie with the default": verdict(ALL, confirmed(TIE)),
        "confirmed: a tie without the default": verdict(
            ALL, confirmed([CLEAR[0], candidate(1, 0.41, 0.315, 0.312, 0.309, 0.311, size=200), DEFAULT])
        ),
        "confirmed: a cheaper one is as good": verdict(
            ALL, confirmed([CLEAR[0], candidate(1, 0.41, 0.315, 0.312, 0.309, 0.311, size=50), DEFAULT])
        ),
        "confirmed: the default": verdict(
            ALL,
            confirmed(
                [candidate(8, 0.3, 0.71, 0.72, 0.70, 0.71), NOT_BEST[0], DEFAULT],
                test=on_test(),
                locked_reads=OPENED,
            ),
        ),
        "confirmed: not the search's best": verdict(ALL, confirmed(NOT_BEST)),
        "confirmed: one candidate": verdict(
            [record(0, 0.5)], confirmed([candidate(0, 0.5, 0.50, 0.51, 0.52)], trials=1)
        ),
        "confirmed: all others failed": verdict(
            ALL, confirmed([candidate(8, 0.3, 0.3, None, 0.3), candidate(0, 0.5, 0.50, 0.51, 0.52)])
        ),
        "confirmed: a fixed split, no test rows": verdict(
            ALL, confirmed(CLEAR, redrawn=False, untested="[data] test = 0 locked no rows")
        ),
        "confirmed: every training came out the same": verdict(
            ALL, confirmed([candidate(8, 0.3, 0.3, 0.3, 0.3), candidate(0, 0.5, 0.5, 0.5, 0.5)])
        ),
        "confirmed: the search went on": verdict([*ALL, record(9, 0.2)], confirmed(CLEAR)),
        "confirmed: the best breaks a constraint": verdict(
            ALL, confirmed(bounded(0.2, 0.04, 0.01), GAP), GAP
        ),
        "confirmed: all break a constraint": verdict(ALL, confirmed(bounded(0.2, 0.14, 0.11), GAP), GAP),
        "confirmed: by version 4, with a constraint": verdict(
            ALL, replace(confirmed(CLEAR), objectives=None, best=None), GAP
        ),
        "confirmed: two objectives": verdict(SIZED, confirmed(sized(), PAIR, trials=3), PAIR),
        "confirmed: the gap, tested": verdict(
            [record(0, 0.1), record(1, 0.0)],
            confirmed(
                [candidate(1, 0.0, 0.01, 0.02, 0.03), candidate(0, 0.1, 0.1, 0.11, 0.12)],
                Objectives((Objective("gap"),)),
                test=won,
                locked_reads=OPENED,
                overtuning=followed,
                trials=2,
            ),
            Objectives((Objective("gap"),)),
        ),
        "confirmed: a score": verdict(
            [record(0, 0.9), record(1, 0.95)],
            confirmed(
                [candidate(1, 0.95, 0.94, 0.945, 0.95), candidate(0, 0.9, 0.9, 0.91, 0.905)],
                larger,
                test=won,
                locked_reads=OPENED,
                trials=2,
            ),
            larger,
        ),
    }


def told() -> str:
    """The words of all cases."""
    blocks = [
        "\n".join([f"## {name}", short(each), *(f"  {sentence}" for sentence in sentences(each))])
        for name, each in cases().items()
    ]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.stdout.write(told())
