"""Gain: what the search brought over the default configuration, in sentences.

Goes by all of a study's goals. Where the sentences are shown is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.core import words
from tuner.core.goals import Goals
from tuner.core.spec import FALLING_SCORES

if TYPE_CHECKING:
    from tuner.api.study import Study, TrialView


def gained(study: Study, best: TrialView, metric: str) -> list[str]:
    """By how much the best trial is better than the default configuration, or that it is not.

    Args:
        study: the study.
        best: its best trial.
        metric: what the first objective is called in these sentences.
    """
    goals, default = study.spec.goals(), study.default
    goal, found, before = goals.primary, best.value, default.value
    if goals.violation(best.reading):
        limits, has = _broken(goals, best)
        return [f"No trial meets every constraint; trial {best.number} comes closest: {has}, not {limits}."]
    if goals.violation(default.reading):
        limits, has = _broken(goals, default)
        return [
            f"The default configuration has {has}, not {limits}.",
            f"The best trial that meets every constraint has {metric} {words.number(found)}.",
        ]
    if found is None or before is None:
        why = default.record.reason or default.record.state.value
        return [f"The default configuration (trial 0) has no {metric} to compare with: {why}."]
    if not goal.better(found, before):
        return [f"Tuning found nothing better than the default configuration, {metric} {before:.4g}."]
    verb = "lowered" if goal.minimize else "raised"
    relative = f", by {abs(found - before) / abs(before):.0%}" if before else ""
    cut = (
        "" if default.record.conclusive else f", stopped after {words.count(default.record.epochs, 'epoch')}"
    )
    told = f"Tuning {verb} {metric} from {before:.4g} (default{cut}) to {found:.4g}{relative}."
    return [told, *_but(best, default)]


def _broken(goals: Goals, view: TrialView) -> tuple[str, str]:
    """The constraints that a trial violates, and the numbers that it has instead."""
    excesses = goals.excesses(view.reading)
    broken = [bound for bound, excess in zip(goals.bounds, excesses, strict=True) if excess > 0]
    has = (
        f"{bound.name} {words.number(view.reading.get(bound.name) if view.reading else None)}"
        for bound in broken
    )
    return ", ".join(f"{'at most' if b.is_upper else 'at least'} {b.limit:g}" for b in broken), ", ".join(has)


def _but(best: TrialView, default: TrialView) -> Iterator[str]:
    """That the score tells another story than the objective, if it does."""
    spec = best.study.spec
    if spec.objective.metric == "val_score" or best.reading is None or default.reading is None:
        return
    score, before = best.reading.val_score, default.reading.val_score
    if score > before if spec.trainer.score in FALLING_SCORES else score < before:
        yield f"But its validation score is worse: {score:.4g}, not {before:.4g}."
