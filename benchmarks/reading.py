"""Tables are read, split and encoded, beside `pandas.read_csv`, which only reads; `tune check` of a wide one.

A table of 40 columns of floats, 5 of whole numbers, 4 of words and a target of 0 and 1 is written to a
CSV file. Each run is a process of its own, which measures its seconds, imports apart, and the peak of its
memory beyond them (on Linux); they take turns, and medians are told. Memory is set beside that of the
table in pandas.

Run: python -m benchmarks.reading [--rows N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.processes import machine, run

PEAK = """
def peak():  # not that of getrusage, which begins with the memory of the parent
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
"""

FRAME = """
import json, time
import pandas
before, begin, clock = peak(), time.process_time(), time.perf_counter()
table = pandas.read_csv("table.csv")
spent, waited = time.process_time() - begin, time.perf_counter() - clock
print(json.dumps([spent, waited, peak() - before, table.memory_usage(deep=True).sum() / 1e6]))
"""

LOAD = """
import json, pathlib, time
from tuner.core.data_spec import DataSpec
from tuner.data import load
before, begin, clock = peak(), time.process_time(), time.perf_counter()
load(DataSpec(source="table.csv", target="y"), pathlib.Path("."))
print(json.dumps([time.process_time() - begin, time.perf_counter() - clock, peak() - before, 0.0]))
"""

STUDY = LOAD.replace("import load", "import load\nfrom tuner.core.dataset import FingerprintCheck").replace(
    'pathlib.Path(".")', 'pathlib.Path("."), check=FingerprintCheck()'
)

CHECK = """
import contextlib, io, json, sys, time
import tuner.api.workbench, tuner.trainers.torch
from tuner.cli import main
sys.argv = ["tune", "check", "table.csv", "--target", "y"]
begin = time.process_time()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps([time.process_time() - begin, 0.0, 0.0, 0.0]))
"""


def write(path: Path, rows: int, floats: int, wholes: int, words: int) -> None:
    """Write a table of chance."""
    chance = np.random.default_rng(0)
    columns: dict[str, Any] = {f"x{i}": chance.normal(size=rows).round(4) for i in range(floats)}
    columns |= {f"k{i}": chance.integers(0, 100, rows) for i in range(wholes)}
    columns |= {f"c{i}": chance.choice(["red", "green", "blue"], rows) for i in range(words)}
    pd.DataFrame({**columns, "y": chance.integers(0, 2, rows)}).to_csv(path, index=False)


def measure(program: str, folder: Path) -> tuple[float, float, float, float]:
    """CPU seconds, seconds by the clock, MB beyond the imports, and MB of the table."""
    output = run([sys.executable, "-c", PEAK + program], folder).output
    spent, waited, peak, size = json.loads(output.strip().splitlines()[-1])
    return spent, waited, peak, size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "table.csv", args.rows, 40, 5, 4)
        programs = {"pandas.read_csv": FRAME, "tuner.data.load": LOAD, "with a fingerprint": STUDY}
        turns = [[measure(each, folder) for each in programs.values()] for _ in range(args.repeats)]
        figures = [
            tuple(map(statistics.median, zip(*each, strict=True))) for each in zip(*turns, strict=True)
        ]
        theirs, their_wait, _, size = figures[0]
        print(f"{args.rows} rows: CPU time, time by the clock, and peak memory beside the table's in pandas")
        for name, (spent, waited, peak, _) in zip(programs, figures, strict=True):
            told = f"{spent:.1f} s ({spent / theirs:.1f}x), {waited:.1f} s ({waited / their_wait:.1f}x)"
            print(f"{name} {told}; peak {peak / size:.1f}x")
        write(folder / "table.csv", 500, 1100, 0, 100)
        wide = statistics.median(measure(CHECK, folder)[0] for _ in range(args.repeats))
        print(f"tune check of 1,200 columns: {wide:.1f} s of CPU beyond imports")


if __name__ == "__main__":
    main()
