"""What `--json` prints: valid JSON with keys that stay the same between versions.

Other programs read these.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.cli import screen
from tuner.core.trial import NUMBERS, Reading, TrialRecord

if TYPE_CHECKING:
    from tuner.api import Study, TrialView
    from tuner.store import StudySummary, Verification

MEASURED = ("train_loss", "val_loss", "train_score", "val_score", "gap")


def dump(table: Any) -> None:
    """Print a table as JSON; `nan` and infinity become null, unprintable characters escapes."""
    text = json.dumps(_finite(table), indent=2, ensure_ascii=False, allow_nan=False)
    print(text if screen.shows(text) else json.dumps(_finite(table), indent=2, allow_nan=False))


def study_table(study: Study) -> dict[str, Any]:
    """`tune show NAME --json`."""
    summary, explained, comments = study.summary, study.importances(), study.comments
    return {
        "study": study.name,
        "spec": summary.spec,
        "state": summary.state,
        "reason": summary.reason,
        "comment": comments.get(None),
        "specs": [
            {"at": spec.at, "command": spec.command, "changes": spec.changes, "digest": spec.digest}
            for spec in study.specs
        ],
        "verdict": verdict_table(study),
        "baselines": [each.to_table() for each in study.baselines],
        "trials": [trial_table(record, comments.get(record.number)) for record in study.records],
        "importances": {
            "trials": explained.trials,
            "shares": explained.shares,
            "errors": explained.errors,
            "silence": explained.silence,
        },
        "findings": [
            {
                "name": finding.name,
                "severity": finding.severity.name.lower(),
                "sentence": finding.sentence,
                "numbers": finding.numbers,
                "advice": finding.advice,
            }
            for finding in study.findings()
        ],
    }


def trial_table(record: TrialRecord, comment: str | None = None) -> dict[str, Any]:
    """One trial, its curve apart."""
    return {
        "number": record.number,
        "params": record.params,
        "state": record.state,
        "origin": record.origin,
        "value": record.value,
        "reason": record.reason,
        "comment": comment,
        "rule": record.rule,
        "epochs": record.epochs,
        "interruptions": record.interruptions,
        "seconds": record.seconds,
        "conclusive": record.conclusive,
        "best_epoch": record.best.epoch if record.best else None,
        **_measured(record.best),
        "errors": record.best.errors if record.best else {},
        "model_path": record.model_path,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
    }


def curved_trial_table(view: TrialView) -> dict[str, Any]:
    """`tune show NAME TRIAL --json`."""
    curve = [{**r.extras, "epoch": r.epoch, **{n: r.get(n) for n in NUMBERS}} for r in view.curve]
    over = view.overfitting
    return {
        **trial_table(view.record, view.comment),
        "gap_last": over.gap_last,
        "onset_epoch": over.onset_epoch,
        "rise": over.rise,
        "traceback": view.record.traceback,
        "curve": curve,
    }


def best_table(study: Study) -> dict[str, Any]:
    """`tune best NAME --json`: the trial to take beside the default configuration."""
    from tuner import api

    return api.brief(study, study.recommended)


def verdict_table(study: Study) -> dict[str, Any]:
    """The verdict of `--json`, with its words."""
    from tuner.judging import sentences

    verdict = study.verdict
    return {**verdict.to_table(), "sentences": sentences(verdict)}


def summary_table(summary: StudySummary) -> dict[str, Any]:
    """One study of `tune list --json`."""
    return {
        "study": summary.name,
        "description": summary.description,
        "state": summary.state,
        "reason": summary.reason,
        "is_driven": summary.is_driven,
        "metric": summary.metric,
        "minimize": summary.minimize,
        "best_value": summary.best_value,
        "best_number": summary.best_number,
        "counts": summary.counts,
        "imported": summary.imported,
        "seconds": summary.seconds,
        "created_at": summary.created_at,
        "updated_at": summary.updated_at,
    }


def verification_table(found: Verification) -> dict[str, Any]:
    """`tune verify --json`."""
    return {
        "database": found.where,
        "sound": found.is_sound,
        "studies": found.studies,
        "trials": found.trials,
        "epochs": found.epochs,
        "findings": [
            {
                "study": finding.study,
                "trial": finding.trial,
                "what": finding.what,
                "to_do": finding.to_do,
                "is_fault": finding.is_fault,
            }
            for finding in found.findings
        ],
    }


def _measured(reading: Reading | None) -> dict[str, float | None]:
    return {name: reading.get(name) if reading is not None else None for name in MEASURED}


def _finite(value: Any) -> Any:
    """The value with None for every number that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value
