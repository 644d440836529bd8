"""Table: every trial of a study as columns for the browser's table, and all numbers as CSV.

Sends only trials that changed since the browser's last request.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.columns import READING
from tuner.core.overfitting import of_trials
from tuner.figures import Frame
from tuner.figures.numbers import significant
from tuner.web.live import LiveSnapshot

DIGITS = 8
"""Significant digits of a number in the table."""

_WHOLE = 1e15
_LABELS = {
    "number": "trial", "best_epoch": "best epoch",
    "gap_last": "gap at the end", "onset_epoch": "over-fits from epoch", "rise": "rise since",
}  # fmt: skip


def columns(snapshot: LiveSnapshot, since: int = 0, most: int | None = None) -> dict[str, Any]:
    """The trials that changed after a read, column by column.

    Args:
        snapshot: the study.
        since: the count of the read that the browser has; 0: none.
        most: how many of them, the earliest first; None: all.

    Returns:
        ``names``, ``labels``, ``kinds`` (``"number"``, ``"setting"``: a number, too, or ``"text"``),
        ``columns`` in the same order, the count of the read, and ``order``: the name to
        sort by, and whether less of it is better. Numbers have eight significant digits, integers all;
        None for a missing one.
    """
    frame = snapshot.frame
    rows = np.flatnonzero(snapshot.changed > since)[:most]
    trials = frame.trials
    found: list[tuple[str, str, list[Any]]] = [
        ("number", "number", trials.number[rows].tolist()),
        ("state", "text", frame.endings[rows].tolist()),
    ]
    metric = frame.objective.metric
    # What is searched for, then the settings, which say most of why, then everything else.
    first = [each.metric for each in frame.objectives]
    others = [name for name in frame.measured if name not in first]

    def measured(names: list[str]) -> list[tuple[str, str, list[Any]]]:
        return [(name, "number", rounded(frame.at_best(name)[rows], DIGITS)) for name in names]

    found += [*measured(first), *_settings(frame, rows), *measured(others)]
    if "gap" in frame.measured:
        part = frame if len(rows) == len(frame) else frame.only(trials.number[rows].tolist())
        onset, rise, last = overfitting(part)
        found.append(("gap_last", "number", rounded(np.array(last), DIGITS)))
        found.append(("onset_epoch", "number", onset))
        found.append(("rise", "number", rounded(np.array(rise), DIGITS)))
    found += [(n, "number", getattr(trials, n)[rows].tolist()) for n in ("best_epoch", "epochs")]
    found.append(("seconds", "number", rounded(trials.seconds[rows], 3)))
    found.append(("rule", "text", [text or None for text in trials.rule[rows].tolist()]))
    found.append(("reason", "text", [text or None for text in trials.reason[rows].tolist()]))
    if any(number is not None for number in snapshot.comments):
        numbers = trials.number[rows].tolist()
        found.append(("comment", "text", [snapshot.comments.get(number) for number in numbers]))
    names, kinds, data = zip(*found, strict=True)
    labels = [_label(frame, name) for name in names]
    order = [metric, frame.objective.minimize]
    since_now = int(snapshot.changed.max(initial=0))
    return {
        "since": since_now, "names": names, "labels": labels, "kinds": kinds, "columns": data, "order": order,
    }  # fmt: skip


def overfitting(frame: Frame) -> tuple[list[int | None], list[float], list[float]]:
    """The onset, the rise and the gap at the end of each trial; see `core.overfitting.of_trials`."""
    epochs = frame.epochs
    return of_trials(epochs.val_loss, epochs.train_loss, epochs.epoch, np.diff(frame.bounds))


def _settings(frame: Frame, rows: NDArray[np.int64]) -> list[tuple[str, str, list[Any]]]:
    found: list[tuple[str, str, list[Any]]] = []
    for name in frame.ordered_params():
        column = frame.params[name][rows]
        if frame.params[name].dtype == object:
            found.append((name, "text", [text or None for text in column.tolist()]))
        else:
            found.append((name, "setting", rounded(column, DIGITS)))
    return found


def _label(frame: Frame, name: str) -> str:
    return _LABELS.get(name) or (frame.label(name) if name in frame.measured else name)


def rounded(values: NDArray[np.floating[Any]], digits: int = 6) -> list[float | None]:
    """Numbers, (N,), to so many significant digits, whole ones to all; None where they are not finite."""
    found = significant(values, digits).astype(object)
    is_known = np.isfinite(values)
    is_whole = is_known & (np.abs(values) < _WHOLE) & (values == np.floor(values))
    found[is_whole] = values[is_whole]
    found[~is_known] = None
    return list(found)


def curves_csv(frame: Frame) -> Iterator[str]:
    """Every reading of every trial as CSV, many lines at once."""
    epochs, step = frame.epochs, 5000
    own = (*frame.epochs.extras, frame.objective.metric)
    names = ("epoch", *dict.fromkeys((*READING, *(name for name in own if name != "gap"))))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["trial", *names])
    for start in range(0, max(len(epochs), 1), step):
        part = slice(start, start + step)
        number = frame.trials.number[epochs.row[part]].tolist()
        values = [epochs.epoch[part].tolist(), *(frame.reading(name)[part].tolist() for name in names[1:])]
        for row in zip(number, *values, strict=True):
            writer.writerow(["" if cell != cell else cell for cell in row])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
