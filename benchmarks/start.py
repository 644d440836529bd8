"""The start: what `tune start digits` takes beside its training, and when a study stores its first epoch.

In turn with imports alone, so that a busy machine slows both. The whole process is set beside what its two
studies train, by the store's own clock, and `import numpy, numba, optuna, sqlalchemy, pydantic, rich`.

Run: python -m benchmarks.start [--pairs N]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import machine, run

IMPORTS = "import numpy, numba, optuna, sqlalchemy, pydantic, rich"
TUNE = "from tuner.cli import main; main()"
LOOP = """
import numpy

def train(params, context):
    weights = numpy.zeros(10)
    for epoch in range(context.epochs):
        yield {"val_loss": params["x"] + 1 / (epoch + 1), "state": {"weights": weights}}
"""
STUDY = """
name = "loop"
[trainer]
use = "./loop.py:train"
workers = 2
[budget]
trials = 4
[space.x]
type = "float"
low = 0.0
high = 1.0
"""


def imports(what: str = IMPORTS) -> float:
    """Seconds of a process that only imports."""
    began = time.perf_counter()
    nothing = subprocess.DEVNULL
    subprocess.run([sys.executable, "-c", what], check=True, env=_environment(), stdout=nothing)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Started:
    """A command: seconds of all of it, of its studies' training, and until their first epoch was stored."""

    whole_s: float
    trained_s: float
    first_s: float


def started(arguments: Sequence[str], folder: Path) -> Started:
    """Run a study in a folder of its own, looking for its first epoch."""
    first: list[float] = []
    began = time.perf_counter()
    looking = threading.Thread(target=_look, args=(folder / "tuner.db", began, first), daemon=True)
    looking.start()
    ran = run([sys.executable, "-c", TUNE, "start", *arguments], folder, _environment())
    looking.join(5)
    with closing(sqlite3.connect(folder / "tuner.db")) as database:
        (trained,) = database.execute("SELECT sum(seconds) FROM tuner_studies").fetchone()
    return Started(ran.wall_s, trained, first[0])


def _look(file: Path, began: float, first: list[float]) -> None:
    while not first:
        time.sleep(0.01)
        if not file.exists():
            continue
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db,
        ):
            if db.execute("SELECT 1 FROM tuner_epochs LIMIT 1").fetchone():
                first.append(time.perf_counter() - began)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    print(f"{machine()}\n")
    digits: list[Started] = []
    loops: list[Started] = []
    base: list[float] = []
    own: list[float] = []
    for turn in range(options.pairs + 1):  # the first one fills caches and is not counted
        for arguments, into in ((["digits"], digits), (["loop.toml"], loops)):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "loop.py").write_text(LOOP)
                (folder / "loop.toml").write_text(STUDY)
                found = started([*arguments, "--quiet"], folder)
            both = imports(), imports("import numpy")
            if turn:
                into.append(found)
                base.append(both[0])
                own.append(both[1])
    libraries, numpy = statistics.median(base), statistics.median(own)
    shares = [each.whole_s / (each.trained_s + libraries) for each in digits]
    print("| | seconds | |")
    print("|---|--:|---|")
    print(f"| imports alone | {libraries:.2f} | `{IMPORTS}` |")
    for what, name in (("the whole of", "whole_s"), ("training of", "trained_s")):
        print(f"| {what} `tune start digits` | {_median(digits, name):.2f} | |")
    told = ", ".join(f"{share:.2f}" for share in shares)
    print(f"| whole / (training + imports) | {statistics.median(shares):.2f} | of each: {told} |")
    print(f"| first epoch of digits, beyond the imports | {_median(digits, 'first_s') - libraries:.2f} | |")
    print(f"| first epoch of a loop, beyond its own import | {_median(loops, 'first_s') - numpy:.2f} | |")
    help_s = statistics.median(imports(f"import sys; sys.argv[1:] = ['--help']; {TUNE}") for _ in range(5))
    print(f"| `tune --help` | {help_s:.2f} | |")


def _median(found: Sequence[Started], name: str) -> float:
    return statistics.median(float(getattr(each, name)) for each in found)


if __name__ == "__main__":
    main()
