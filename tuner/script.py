"""params and report: what a script calls that `tune` starts as a trial, see `[trainer] command`.

Alone, without a study, they do nothing. A report is a line on the script's standard output; the study
answers it with a line on its standard input. Imported by scripts of any kind, so it imports nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = "@tuner "
"""What the line of a report begins with."""

LAST = "is_last"
"""True in a report after which nothing comes."""

GO_ON, END = "continue", "stop"
"""What lines with numbers are answered; with the mark before it where they had it."""

_REPORTED: list[str] = []
"""The names of what this process has reported last."""


def params(**defaults: Any) -> dict[str, Any]:
    """The values of a script's settings: those of the trial, and else the given ones.

    Args:
        defaults: every setting that the script has.

    Returns:
        The same names, and further ones that only the study has.
    """
    path = os.environ.get("TUNER_PARAMS")
    return defaults if path is None else {**defaults, **json.loads(Path(path).read_text(encoding="utf-8"))}


def report(*, state: str | Path | None = None, model: str | Path | None = None, **metrics: Any) -> None:
    """End an epoch of a script that `tune` has started, and wait until the study has judged it.

    Does nothing where no study has started the script, and in all processes of a trial but the first. When
    the trial is over, the script is left by SystemExit: `finally` blocks run.

    Args:
        state: the file or the folder from which the trial can go on after this epoch; what lies there
            is in the folder TUNER_CHECKPOINT then.
        model: the file or the folder that is kept if this epoch is the best.
        metrics: the numbers of the epoch, such as `train_loss` and `val_loss`.
    """
    files = {"state": state, "model": model}
    _tell(metrics | {name: str(Path(path).absolute()) for name, path in files.items() if path is not None})


def report_only(**metrics: Any) -> None:
    """Report the one epoch of a script that has reported none: its trial has finished, whatever rules say."""
    if not _REPORTED:
        _tell({**metrics, LAST: True})


def _tell(told: Mapping[str, Any]) -> None:
    if "TUNER_TRIAL" not in os.environ or os.environ.get("RANK", "0") != "0":
        return
    _REPORTED[:] = told
    plain = {name: getattr(value, "item", lambda value=value: value)() for name, value in told.items()}
    sys.stdout.flush()
    os.write(1, f"{MARK}{json.dumps(plain)}\n".encode())
    if _answer() == END:
        raise SystemExit(0)


def _answer() -> str:
    """The answer to a report; empty where the standard input has ended, and then nobody waits."""
    while True:
        found = bytearray()
        while (letter := os.read(0, 1)) not in (b"", b"\n"):
            found += letter
        # A line without the mark answers what the script has printed.
        if not letter or found.decode() in (MARK + GO_ON, END):
            return found.decode()
