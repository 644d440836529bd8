"""params and report: what a script calls that `tune` starts as a trial, see `[trainer] command`.

Alone, without a study, they do nothing. A report is a line on the script's standard output; the study
answers it with a line on its standard input. Imported by scripts of any kind, so it imports nothing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

MARK = "@tuner "
"""What the line of a report begins with."""

GO_ON, END = "continue", "stop"
"""What a report is answered."""


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
    if "TUNER_TRIAL" not in os.environ or os.environ.get("RANK", "0") != "0":
        return
    told = {name: getattr(value, "item", lambda value=value: value)() for name, value in metrics.items()}
    files = {"state": state, "model": model}
    told |= {name: str(Path(path).absolute()) for name, path in files.items() if path is not None}
    sys.stdout.flush()
    os.write(1, f"{MARK}{json.dumps(told)}\n".encode())
    if _answer() == END:
        raise SystemExit(0)


def _answer() -> str:
    """The next line of the standard input; empty where there is none, and then nobody waits."""
    found = bytearray()
    while (letter := os.read(0, 1)) not in (b"", b"\n"):
        found += letter
    return found.decode()
