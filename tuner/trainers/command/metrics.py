"""Metrics: numbers by name out of what a command prints, or writes into a file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.core.trial import NUMBERS
from tuner.script import LAST, MARK

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)"
_PAIR = re.compile(rf"([A-Za-z_][\w./-]*)\s*[=:]\s*({_NUMBER})(?![\w/%:])", re.IGNORECASE)
_GROUP = "(?P<"
_FILES = (".jsonl", ".csv")

Take = Callable[[str], Mapping[str, Any]]
"""Finds the numbers of a line."""


def metrics_faults(metrics: str) -> list[str]:
    """What is wrong with `[trainer] metrics`, ``key: what; what to do`` each."""
    key = "trainer.metrics"
    if _GROUP in metrics:
        try:
            re.compile(metrics)
        except re.error as error:
            return [f"{key}: {metrics!r} is no regular expression: {error}"]
    elif not metrics.endswith(_FILES):
        return [
            f"{key}: {metrics!r} is neither a regular expression with a group for each number, such as "
            "'loss (?P<val_loss>[0-9.]+)', nor a file that ends in .jsonl or .csv"
        ]
    elif "${folder}" not in metrics and "${trial}" not in metrics:
        return [
            f"{key}: all trials would write to {metrics}; write ${{folder}} or ${{trial}} into it, and into "
            "the command"
        ]
    return []


def is_file(metrics: str) -> bool:
    """Whether it names a file."""
    return _GROUP not in metrics and metrics.endswith(_FILES)


def from_line(metrics: str | None, needed: Collection[str]) -> Take:
    """What finds numbers in a line that is printed.

    Args:
        metrics: a regular expression, or None: an object of JSON, or ``name=value`` and ``name: value`` on a
            line that names one of a reading's own numbers or of `needed`.
        needed: the numbers that end an epoch.
    """
    telling = {*NUMBERS, *needed}

    def found(line: str) -> Mapping[str, Any]:
        marked = line.rpartition(MARK)
        if marked[1]:
            return _object(marked[2])
        if metrics is not None and _GROUP in metrics:
            match = re.search(metrics, line)
            groups = match.groupdict() if match else {}
            return {name: number for name, value in groups.items() if (number := _number(value)) is not None}
        if metrics is not None:
            return {}
        if line.lstrip().startswith("{"):
            return _object(line)
        pairs = {name: float(value) for name, value in _PAIR.findall(line)}
        return pairs if telling & set(pairs) else {}

    return found


class MetricsFile:
    """The lines that are added to a file of JSON lines or to a CSV, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._fields = path, list[str]()
        self._read = path.stat().st_size if path.exists() else 0

    def rows(self, *, last: bool = False) -> Iterator[Mapping[str, Any]]:
        """The numbers of each line that is complete, and was not read before; with `last` of all."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return
        if size < self._read:
            self._read, self._fields = 0, []
        if size == self._read:
            return
        with self._path.open("rb") as file:
            if self._path.suffix == ".csv" and not self._fields and self._read:
                self._fields = _cells(file.readline())
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n") and not last:
                    return
                self._read += len(line)
                yield from self._row(line)

    def _row(self, line: bytes) -> Iterator[Mapping[str, Any]]:
        if self._path.suffix == ".jsonl":
            yield _object(line.decode(errors="replace"))
        elif not self._fields:
            self._fields = _cells(line)
        else:
            cells = zip(self._fields, _cells(line), strict=False)
            yield {name: number for name, cell in cells if (number := _number(cell)) is not None}


def _object(text: str) -> Mapping[str, Any]:
    """The numbers of an object, the places of its files, and whether it is the last one."""
    try:
        table = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(table, dict):
        return {}
    return {
        name: value
        for name, value in table.items()
        if (isinstance(value, int | float) and not isinstance(value, bool))
        or (name in ("state", "model") and isinstance(value, str))
        or (name == LAST and value is True)
    }


def _cells(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace").strip()]), [])


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
