"""Brief: a trial beside the default configuration, as one table that JSON can hold."""

from __future__ import annotations

import math
from typing import Any

from tuner.core.trial import Reading
from tuner.judging.sentences import sentences
from tuner.judging.verdict import Verdict
from tuner.results.study import Study
from tuner.results.trial import TrialView


def brief(study: Study, chosen: TrialView) -> dict[str, Any]:
    """A trial beside the default configuration, as `tune best --json` prints it; `nan` becomes None.

    With ``front``: the trials that no other one dominates, see `Verdict.front`.
    """
    objectives, verdict = study.spec.objectives(), study.verdict
    found = verdict.confirmation

    def told(view: TrialView) -> dict[str, Any]:
        return {"trial": view.number, "params": dict(view.params), **_numbers(view)}

    def weighed(view: TrialView) -> dict[str, Any]:
        values = {
            name: _finite(view.reading.get(name)) if view.reading else None for name in objectives.names
        }
        return {"values": values, "feasible": not objectives.violation(view.reading)}

    return {
        "study": study.name,
        **told(chosen),
        **weighed(chosen),
        "default": told(study.default),
        "front": [
            {"trial": view.number, "params": dict(view.params), "value": view.value, **weighed(view)}
            for view in map(study.trial, verdict.front)
        ],
        "gain": _gain(study, chosen),
        "baselines": [each.to_table() for each in study.baselines],
        "confirmed": None if found is None else found.to_table(),
        "verdict": verdict_table(verdict),
        "model_path": str(chosen.model_path) if chosen.model_path else None,
    }


def verdict_table(verdict: Verdict) -> dict[str, Any]:
    """A verdict with its words."""
    return {**verdict.to_table(), "sentences": sentences(verdict)}


def _gain(study: Study, chosen: TrialView) -> dict[str, float | None]:
    """By how much a trial is better than the default configuration; negative: worse."""
    mine, others = _numbers(chosen), _numbers(study.default)
    falls = {"value": study.spec.primary_objective().minimize, "val_score": study.spec.trainer.score_falls}
    return {
        name: (others[name] - mine[name]) * (1 if falls[name] else -1)
        if None not in (mine[name], others[name])
        else None
        for name in falls
    }


def _numbers(view: TrialView) -> dict[str, Any]:
    reading = view.reading or Reading(0, math.nan, math.nan)
    names = ("train_loss", "val_loss", "train_score", "val_score", "gap")
    found = {"value": view.value, **{name: reading.get(name) for name in names}}
    over = view.overfitting
    return {
        **{name: _finite(x) for name, x in found.items()},
        "errors": dict(reading.errors),
        "gap_last": _finite(over.gap_last),
        "onset_epoch": over.onset_epoch,
        "rise": over.rise,
        "epoch": reading.epoch or None,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
