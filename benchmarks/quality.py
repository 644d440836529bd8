"""The same study over many seeds, trained in different ways: is what it finds as good?

The shipped study `digits` with fewer trials: as it comes (fused, asha) against one trial at a time, against
asha that stops for good, and with 2, 4, 8 and 16 rows at once. Seeds are paired; of each comparison the
signed-rank test of Wilcoxon and a bootstrap interval of the median difference are told. Nothing is timed
but for orientation: speed is `throughput`'s.

Run: python -m benchmarks.quality [--seeds N] [--trials N] [--only ...] [--smoke]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

import tuner
from benchmarks.processes import machine

DEFAULT = "as it comes"
WAYS: Mapping[str, Mapping[str, object]] = {
    DEFAULT: {},
    "rows = 1": {"trainer.rows": 1},
    "asha-stop": {"search.pruner": "asha-stop"},
    "rows = 2": {"trainer.rows": 2},
    "rows = 4": {"trainer.rows": 4},
    "rows = 8": {"trainer.rows": 8},
    "rows = 16": {"trainer.rows": 16},
}
RESAMPLES = 10_000


@dataclass(frozen=True)
class Found:
    """What one study found, and what it cost.

    Attributes:
        loss: the best trial's lowest validation loss.
        accuracy: of that epoch.
        middle: the median over all trials of their lowest validation loss.
        epochs: trial-epochs.
        seconds: of the study, without imports.
    """

    loss: float
    accuracy: float
    middle: float
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Measure:
    """One number of a study, and how it is written."""

    name: str
    of: Callable[[Found], float]
    form: str


MEASURES = (
    Measure("best validation loss", lambda f: f.loss, "{:.4f}"),
    Measure("its accuracy", lambda f: f.accuracy, "{:.4f}"),
    Measure("median trial's loss", lambda f: f.middle, "{:.3f}"),
    Measure("trial-epochs", lambda f: f.epochs, "{:.0f}"),
    Measure("seconds", lambda f: f.seconds, "{:.1f}"),
)


def found(study: str, way: Mapping[str, object], seed: int, trials: int) -> Found:
    """Run one study."""
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder) / 'tuner.db'}"
        run = tuner.start(study, trials=trials, seed=seed, storage=storage, settings=way)
        records, best = run.records, run.best
        return Found(
            loss=best.value if best.value is not None else float("nan"),
            accuracy=best.reading.val_score if best.reading is not None else float("nan"),
            middle=statistics.median(r.value for r in records if r.value is not None),
            epochs=sum(record.epochs for record in records),
            seconds=run.summary.seconds,
        )


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the median."""
    chance = np.random.default_rng(0)
    values = np.asarray(differences)
    medians = np.median(chance.choice(values, size=(RESAMPLES, len(values))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def chance_of(differences: Sequence[float]) -> float:
    """The p-value of Wilcoxon's signed-rank test, two-sided: how often chance alone would differ as much."""
    if not any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def report(all_found: Mapping[str, Sequence[Found]]) -> None:
    """Print what each way found, then how the ways differ from the first one."""
    print(f"\n| median (quartiles) | {' | '.join(measure.name for measure in MEASURES)} |")
    print("|---|" + "--:|" * len(MEASURES))
    for way, runs in all_found.items():
        cells = [_quartiles([measure.of(run) for run in runs], measure.form) for measure in MEASURES]
        print(f"| {way} | {' | '.join(cells)} |")
    first, *others = all_found
    print(f"\n| minus '{first}', paired by seed | | median difference | 95 % interval | lower / higher | p |")
    print("|---|---|--:|--:|--:|--:|")
    for way in others:
        for measure in MEASURES[:4]:
            pairs = zip(all_found[first], all_found[way], strict=True)
            differences = [measure.of(b) - measure.of(a) for a, b in pairs]
            low, high = interval(differences)
            signed = measure.form.replace(":", ":+")
            below, above = (sum(sign * d > 0 for d in differences) for sign in (-1, 1))
            cells = [
                signed.format(statistics.median(differences)),
                f"{signed.format(low)} to {signed.format(high)}",
                f"{below} / {above}",
                f"{chance_of(differences):.2f}",
            ]
            print(f"| {way} | {measure.name} | {' | '.join(cells)} |")
    for way in others:
        print(f"\n{_verdict(way, all_found[first], all_found[way])}")


def _verdict(way: str, ours: Sequence[Found], theirs: Sequence[Found]) -> str:
    differences = [b.loss - a.loss for a, b in zip(ours, theirs, strict=True)]
    level = statistics.median(a.loss for a in ours)
    low, high = (100 * edge / level for edge in interval(differences))
    p = chance_of(differences)
    if p < 0.05:
        side = "better" if statistics.median(differences) < 0 else "worse"
        told = f"is {side} than '{DEFAULT}'"
    else:
        told = f"shows no difference to '{DEFAULT}'"
    return (
        f"**{way}** {told}: over {len(differences)} seeds its best validation loss differs by "
        f"{low:+.1f} % to {high:+.1f} % (95 % interval of the median difference), p = {p:.2f}."
    )


def _quartiles(values: Sequence[float], form: str) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{form.format(middle)} ({form.format(low)}-{form.format(high)})"


def main() -> None:
    """Run the studies, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", default="digits")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--smoke", action="store_true", help="two seeds of three trials")
    options = parser.parse_args()
    if options.smoke:
        options.seeds, options.trials, options.only = 2, 3, ["rows = 4"]
    ways = [DEFAULT, *(way for way in WAYS if way in options.only and way != DEFAULT)]
    print(machine())
    print(f"\n### {options.study}, {options.trials} trials, {options.seeds} seeds")
    all_found: dict[str, list[Found]] = {way: [] for way in ways}
    for seed in range(options.seeds):
        for way in ways:
            all_found[way].append(found(options.study, WAYS[way], seed, options.trials))
        print(f"  seed {seed} done", file=sys.stderr, flush=True)
    report(all_found)


if __name__ == "__main__":
    main()
