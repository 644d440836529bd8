"""`tune`, with a clock at its store: when trials began, and when each epoch's reading was on disk.

Run: python -m benchmarks.clocked CLOCK.json start STUDY.toml ...: everything after the first word is
`tune`'s own. The clock adds two calls of `time.time` to a transaction.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tuner.core.ports import Turn
from tuner.store import StudyStore


class Clock:
    """Moments in seconds of Unix time: of the first start of each trial, and of every epoch."""

    def __init__(self) -> None:
        self.starts: dict[int, float] = {}
        self.epochs: list[tuple[float, int, float, float]] = []

    def watch(self) -> None:
        """Note every turn that any study of this process records."""
        record = StudyStore.record

        def recorded(store: StudyStore, *turns: Turn) -> None:
            begin = time.time()
            record(store, *turns)
            end = time.time()
            for turn in turns:
                for trial in turn.started:
                    self.starts.setdefault(trial.number, begin - (turns[-1].seconds - turn.seconds))
                for number, reading in turn.readings:
                    self.epochs.append((end, number, reading.val_score, reading.val_loss))

        StudyStore.record = recorded  # type: ignore[method-assign, assignment]


def main() -> None:
    """Be `tune`, and leave the clock's moments behind."""
    from tuner.cli import main as tune

    clock, path = Clock(), Path(sys.argv.pop(1))
    clock.watch()
    try:
        tune()
    finally:
        path.write_text(json.dumps({"starts": clock.starts, "epochs": clock.epochs}), encoding="utf-8")


if __name__ == "__main__":
    main()
