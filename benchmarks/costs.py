"""What it costs to be safe: the study of `throughput`, with a mechanism and without it, in turn.

Checkpoints: as they come (every five seconds, and where a trial is paused) against none in between.
Ordered decisions: two workers that train one trial at a time, `reproducible` on against off.

Run: python -m benchmarks.costs [--pairs N] [--trials N] [--trials-in-order N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.courses import Course
from benchmarks.processes import machine
from benchmarks.subjects import EPOCHS
from benchmarks.throughput import WIDTHS, Setting, tuner_course

WORKERS = ("trainer.rows=1", "trainer.executor=processes", "trainer.workers=2")
COSTS = {
    "checkpoints every 5 s": ((), ("trainer.checkpoint_seconds=0",)),
    "ordered decisions": ((*WORKERS, "trainer.reproducible=true"), (*WORKERS, "trainer.reproducible=false")),
}


def course(setting: Setting, seed: int, settings: Sequence[str]) -> Course:
    """One study, in a folder that goes with it."""
    options = [word for each in settings for word in ("--set", each)]
    with tempfile.TemporaryDirectory() as folder:
        return tuner_course(setting, seed, Path(folder), options)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="seeds")
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--trials-in-order", type=int, default=60)
    options = parser.parse_args()
    print(f"{machine()}\n")
    print("| | trial-epochs/s with | without | costs | of each pair | CPU s with | without | costs |")
    print("|---|--:|--:|--:|---|--:|--:|--:|")
    for (name, (with_it, without)), trials in zip(
        COSTS.items(), (options.trials, options.trials_in_order), strict=True
    ):
        setting = Setting("digits", WIDTHS[0], trials, EPOCHS, None, "asha")
        course(setting, options.pairs, with_it)
        with_them, without_them = [], []
        for seed in range(options.pairs):
            # Who is first takes turns, too.
            first, second = (with_it, without) if seed % 2 else (without, with_it)
            found = {each: course(setting, seed, each) for each in (first, second)}
            with_them.append(found[with_it])
            without_them.append(found[without])
        paces = _paired([c.epochs_per_s for c in with_them], [c.epochs_per_s for c in without_them])
        # It trains the same trials: CPU time tells what the noise of a shared machine hides.
        spent = _paired([c.ran.cpu_s for c in without_them], [c.ran.cpu_s for c in with_them])
        cells = [paces[0], paces[1], paces[2], paces[3], spent[1], spent[0], spent[2]]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _paired(slower: Sequence[float], faster: Sequence[float]) -> list[str]:
    """The medians, the median share by which the first ones are less, and the share of each pair."""
    costs = [1 - a / b for a, b in zip(slower, faster, strict=True)]
    medians = [f"{statistics.median(each):.1f}" for each in (slower, faster)]
    return [*medians, f"{statistics.median(costs):.1%}", ", ".join(f"{cost:.1%}" for cost in costs)]


if __name__ == "__main__":
    main()
