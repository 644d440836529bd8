"""Table: every trial of a study as columns for the browser's table, and all numbers as CSV.

Sends only trials that changed since the browser's last request. How the table looks is the
stylesheet's and the script's business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.figures import Frame
from tuner.web.live import LiveSnapshot

DIGITS = 8
"""Significant digits of a number in the table."""

_WHOLE = 1e15
_NUMBERS = ("value", "gap", "train_loss", "val_loss", "train_score", "val_score")


def columns(snapshot: LiveSnapshot, since: int = 0, most: int | None = None) -> dict[str, Any]:
    """The trials that changed after a read, column by column.

    Args:
        snapshot: the study.
        since: the count of the read that the browser has; 0: none.
        most: how many of them, the earliest first; None: all.

    Returns:
        ``names``, ``kinds`` (``"number"`` or ``"text"``), ``columns`` in the same order, and the
        count of the read. Numbers have eight significant digits, integers all; None for a missing one.
    """
    frame = snapshot.frame
    rows = np.flatnonzero(snapshot.changed > since)[:most]
    trials = frame.trials
    found: list[tuple[str, str, list[Any]]] = [
        ("number", "number", trials.number[rows].tolist()),
        ("state", "text", trials.state[rows].tolist()),
    ]
    metric = frame.objective.metric
    for name in _NUMBERS:
        values = getattr(trials, name)
        if name == metric or not np.isfinite(values).any():
            continue
        found.append((metric if name == "value" else name, "number", rounded(values[rows], DIGITS)))
    found += [(n, "number", getattr(trials, n)[rows].tolist()) for n in ("best_epoch", "epochs")]
    found.append(("seconds", "number", rounded(trials.seconds[rows], 3)))
    for name in frame.ordered_params():
        column = frame.params[name][rows]
        if frame.params[name].dtype == object:
            found.append((name, "text", [text or None for text in column.tolist()]))
        else:
            found.append((name, "number", rounded(column, DIGITS)))
    found.append(("rule", "text", [text or None for text in trials.rule[rows].tolist()]))
    found.append(("reason", "text", [text or None for text in trials.reason[rows].tolist()]))
    names, kinds, data = zip(*found, strict=True)
    return {"since": int(snapshot.changed.max(initial=0)), "names": names, "kinds": kinds, "columns": data}


def rounded(values: NDArray[np.floating[Any]], digits: int = 6) -> list[float | None]:
    """Numbers to so many significant digits, whole ones to all; None for numbers that are not finite.

    Args:
        values: (N,).
        digits: how many.
    """
    is_known = np.isfinite(values)
    size = np.floor(np.log10(np.abs(np.where(is_known & (values != 0), values, 1.0)))).clip(-300, 300)
    # Whole numbers are divided, not parts multiplied: the quotient is the nearest one to the decimal.
    up, down = 10.0 ** np.maximum(digits - 1 - size, 0), 10.0 ** np.maximum(size + 1 - digits, 0)
    found = (np.round(values * up / down) * down / up).astype(object)
    is_whole = is_known & (np.abs(values) < _WHOLE) & (values == np.floor(values))
    found[is_whole] = values[is_whole]
    found[~is_known] = None
    return list(found)


def curves_csv(frame: Frame) -> Iterator[str]:
    """Every reading of every trial as CSV, many lines at once."""
    names = (
        "epoch",
        "train_loss",
        "val_loss",
        "train_score",
        "val_score",
        "learning_rate",
        "grad_norm",
        "seconds",
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["trial", *names])
    epochs, step = frame.epochs, 5000
    for start in range(0, max(len(epochs), 1), step):
        part = slice(start, start + step)
        number = frame.trials.number[epochs.row[part]].tolist()
        values = [getattr(epochs, name)[part].tolist() for name in names]
        for row in zip(number, *values, strict=True):
            writer.writerow(["" if cell != cell else cell for cell in row])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
