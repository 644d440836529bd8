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
    from tuner import Study, TrialView
    from tuner.store import StudySummary, Verification

MEASURED = ("train_loss", "val_loss", "train_score", "val_score", "gap")


def dump(table: Any) -> None:
    """Print a table as JSON; `nan` and infinity become null, unprintable characters escapes."""
    text = json.dumps(_finite(table), indent=2, ensure_ascii=False, allow_nan=False)
    print(text if screen.shows(text) else json.dumps(_finite(table), indent=2, allow_nan=False))


def study_table(study: Study) -> dict[str, Any]:
    """`tune show NAME --json`."""
    from tuner.results.as_json import verdict_table

    summary, explained, comments = study.summary, study.importances(), study.comments
    return {
        "study": study.name,
        "spec": summary.spec,
        "state": summary.state,
        "reason": summary.reason,
        "comment": comments.get(None),
        "specs": [_picked(spec, "at", "command", "changes", "digest") for spec in study.specs],
        "verdict": verdict_table(study.verdict),
        "baselines": [each.to_table() for each in study.baselines],
        "trials": [trial_table(record, comments.get(record.number)) for record in study.records],
        "importances": _picked(explained, "trials", "shares", "errors", "silence"),
        "findings": [
            {
                "name": finding.name,
                "severity": finding.severity.name.lower(),
                **_picked(finding, "sentence", "numbers", "advice"),
            }
            for finding in study.findings()
        ],
    }


def trial_table(record: TrialRecord, comment: str | None = None) -> dict[str, Any]:
    """One trial, its curve apart."""
    return {
        **_picked(record, "number", "params", "state", "origin", "value", "reason"),
        "comment": comment,
        **_picked(record, "rule", "epochs", "interruptions", "seconds", "conclusive"),
        "best_epoch": record.best.epoch if record.best else None,
        **_measured(record.best),
        "errors": record.best.errors if record.best else {},
        **_picked(record, "model_path", "started_at", "ended_at"),
    }


def curved_trial_table(view: TrialView) -> dict[str, Any]:
    """`tune show NAME TRIAL --json`."""
    curve = [{**r.extras, "epoch": r.epoch, **{n: r.get(n) for n in NUMBERS}} for r in view.curve]
    return {
        **trial_table(view.record, view.comment),
        **_picked(view.overfitting, "gap_last", "onset_epoch", "rise"),
        "traceback": view.record.traceback,
        "curve": curve,
    }


def summary_table(summary: StudySummary) -> dict[str, Any]:
    """One study of `tune list --json`."""
    return {
        "study": summary.name,
        **_picked(summary, "description", "state", "reason", "is_driven", "metric", "minimize"),
        **_picked(summary, "best_value", "best_number", "counts", "imported", "seconds"),
        **_picked(summary, "created_at", "updated_at"),
    }


def verification_table(found: Verification) -> dict[str, Any]:
    """`tune verify --json`."""
    return {
        "database": found.where,
        "sound": found.is_sound,
        **_picked(found, "studies", "trials", "epochs"),
        "findings": [_picked(each, "study", "trial", "what", "to_do", "is_fault") for each in found.findings],
    }


def _picked(value: object, *names: str) -> dict[str, Any]:
    """Some of the attributes of a value, by their names."""
    return {name: getattr(value, name) for name in names}


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
