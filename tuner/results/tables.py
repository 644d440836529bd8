"""Tables: stored studies, and one's trials and curves, as pandas has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tuner.core.trial import NUMBERS, Reading, TrialRecord
from tuner.store import StudySummary

_COLUMNS = {
    "number", "state", "value", "epoch", "epochs", "best_epoch", "seconds", "interruptions", "rule", "reason",
    *NUMBERS,
}  # fmt: skip
"""Columns other than a trainer's own numbers."""


def trials(records: Sequence[TrialRecord], comments: Mapping[int | None, str]) -> pd.DataFrame:
    """A row per trial; see `Study.trials`."""
    has_comments = any(number is not None for number in comments)
    rows = []
    own = {n: _apart(n) for record in records if record.best is not None for n in record.best.extras}
    measured = [name for name in NUMBERS if name != "seconds"]
    for record in records:
        row: dict[str, Any] = {
            "number": record.number,
            "state": record.state.value,
            "value": record.value,
            "epochs": record.epochs,
            "best_epoch": record.best.epoch if record.best else None,
        }
        row |= {name: record.best.get(name) if record.best else None for name in measured}
        row |= {column: record.best.get(name) if record.best else None for name, column in own.items()}
        row |= {
            "origin": record.origin.value,
            "seconds": record.seconds,
            "interruptions": record.interruptions,
            "rule": record.rule,
            "reason": record.reason,
        }
        row |= {"comment": comments.get(record.number)} if has_comments else {}
        rows.append(row | {f"params.{name}": value for name, value in record.params.items()})
    return pd.DataFrame(rows)


_OF_STUDIES: dict[str, Any] = {
    "name": str, "description": str, "state": str, "reason": str, "metric": str, "best_value": float,
    "best_trial": "Int64", "trials": int, "finished": int, "stopped": int, "failed": int, "seconds": float,
    "created_at": "datetime64[us, UTC]", "updated_at": "datetime64[us, UTC]",
}  # fmt: skip
"""The columns of `studies`, and their types."""


def studies(summaries: Sequence[StudySummary]) -> pd.DataFrame:
    """A row per study."""
    rows = [
        {
            "name": each.name,
            "description": each.description,
            "state": each.status,
            "reason": each.reason,
            "metric": each.metric,
            "best_value": each.best_value,
            "best_trial": each.best_number,
            "trials": sum(each.counts.values()),
            **{state: each.counts[state] for state in ("finished", "stopped", "failed")},
            "seconds": each.seconds,
            "created_at": pd.Timestamp(each.created_at),
            "updated_at": pd.Timestamp(each.updated_at),
        }
        for each in summaries
    ]
    return pd.DataFrame(rows, columns=list(_OF_STUDIES)).astype(_OF_STUDIES)


def curves(readings: Mapping[int, Sequence[Reading]]) -> pd.DataFrame:
    """A row per trial and epoch; see `Study.curves`."""
    rows = [
        {"number": number, "epoch": reading.epoch}
        | {name: reading.get(name) for name in NUMBERS}
        | {_apart(name): value for name, value in reading.extras.items()}
        for number, curve in readings.items()
        for reading in curve
    ]
    return pd.DataFrame(rows, columns=None if rows else ["number", "epoch", *NUMBERS])


def _apart(name: str) -> str:
    """The column of a trainer's own number, see `Study.trials`."""
    return f"reading.{name}" if name in _COLUMNS or name.startswith("params.") else name
