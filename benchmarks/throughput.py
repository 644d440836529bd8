"""Whole studies, fused, beside the script a user writes today and beside ourselves one trial at a time.

The same search space, sampler family (TPE), rungs (1, 3, 9, 27), data, network and number of trials:

    tuner      `tune start`, as it comes
    rows = 1   `tune start --set trainer.rows=1`: our one-at-a-time trainer, as many processes as cores
    script     peers/optuna_script.py: Optuna, its SQLite storage, SuccessiveHalvingPruner, a plain
               PyTorch loop, as many processes as cores; "fused": with torch.optim's fused kernels

Each run is a process of its own that ends by itself, pairs alternate over seeds. The steady state is what
lies between the first tenth of the trials and the start of the last one. Slow programs are cut after
--seconds-of-peer and their whole process is then told from their pace (~); --full runs them to the end.

Run: python -m benchmarks.throughput [--pairs N] [--trials N] [--quick] [--full] [--only ...] [--profile]
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import subjects
from benchmarks.courses import Course, of_script, of_tuner
from benchmarks.processes import machine, run
from tuner import content

HERE = Path(__file__).resolve().parent
CLOCKED, SCRIPT = HERE / "clocked.py", HERE / "peers" / "optuna_script.py"
NORMALIZED = HERE / "peers" / "normalized.py"
WIDTHS = ((16, 32, 64), (128, 256))
OURS, ONE, PLAIN, FUSED = "tuner", "rows = 1", "script", "script, fused"
PROGRAMS = (OURS, ONE, PLAIN, FUSED)
START_S = 20.0
"""What is granted to the start of worker processes, which `tune start --seconds` counts."""
SPANS = {"97.5 %": 0.975, "98 %": 0.98, "98.5 %": 0.985}


@dataclass(frozen=True)
class Setting:
    """One comparison: data, widths, trials; `seconds` cuts the slow programs, None does not; our pruner.

    The network is the shipped `mlp`, or one of a user's own with batch normalization.
    """

    data: str
    widths: tuple[int, ...]
    trials: int
    epochs: int
    seconds: float | None
    pruner: str = "asha-stop"
    batch_norm: bool = False

    @property
    def title(self) -> str:
        norm = ", batch norm" if self.batch_norm else ""
        return f"{self.data}, widths {', '.join(map(str, self.widths))}{norm}"


@dataclass(frozen=True)
class Must:
    """How many times better we are in one number, and have to be at least (0: it is only told)."""

    name: str
    least: float
    of: Callable[[Course], float]
    falls: bool = False

    def told(self, ours: Sequence[Course], theirs: Sequence[Course]) -> str:
        """The median of the pairs' ratios, and their range."""
        pairs = zip(map(self.of, ours), map(self.of, theirs), strict=True)
        found = [b / a if self.falls else a / b for a, b in pairs]
        return f"{_spread(found, '{:.1f}')} times"


_EPOCHS = Must("trial-epochs per second", 0, lambda c: c.epochs_per_s)


@dataclass(frozen=True)
class Reach:
    """How much sooner an accuracy is reached."""

    name: str
    least: float
    accuracy: float

    def told(self, ours: Sequence[Course], theirs: Sequence[Course]) -> str:
        """The ratio of the medians; at least that, where a run of theirs ended without it."""
        mine = statistics.median(c.reached_s(self.accuracy) for c in ours)
        moments = [c.reached_s(self.accuracy) for c in theirs]
        least = [min(moment, c.seconds) for moment, c in zip(moments, theirs, strict=True)]
        if math.isinf(mine):
            return "never reached by us"
        more = "" if math.isfinite(statistics.median(moments)) else "> "
        return f"{more}{statistics.median(least) / mine:.1f} times"


def musts(widths: Sequence[int], batch_norm: bool = False) -> list[Must | Reach]:
    """What is compared, and and by how much we have to be better."""
    small = max(widths) <= 64
    if batch_norm:
        return [Must("trials per second", 15 if small else 5, lambda c: c.trials_per_s), _EPOCHS]
    return [
        Must("trials per second", 30 if small else 8, lambda c: c.trials_per_s),
        _EPOCHS,
        Must("whole process", 12 if small else 0, lambda c: c.whole_s, falls=True),
        *(Reach(f"time to {name}", 8 if name == "98 %" else 0, value) for name, value in SPANS.items()),
    ]


def tuner_course(
    setting: Setting, seed: int, folder: Path, options: Iterable[str] = (), *, cache: Path | None = None
) -> Course:
    """Our study, in the process that `tune start` is."""
    table = subjects.study(
        "study",
        folder / "data.npz",
        setting.widths,
        trials=setting.trials,
        seed=seed,
        epochs=setting.epochs,
        pruner=setting.pruner,
    )
    if setting.batch_norm:
        table["trainer"]["model"] = "./normalized.py:build"
        shutil.copy(NORMALIZED, folder)
    subjects.DATA[setting.data]().write(folder / "data.npz")
    subjects.write_study(table, folder / "study.toml")
    return started("study.toml", folder, setting.trials, options, cache)


def started(
    study: str, folder: Path, trials: int, options: Iterable[str] = (), cache: Path | None = None
) -> Course:
    """`tune start` of a study, watched."""
    clock, storage = folder / "clock.json", f"sqlite:///{folder / 'tuner.db'}"
    tune = [sys.executable, str(CLOCKED), str(clock), "start", study, "--storage", storage]
    ran = run([*tune, *options], folder, {"NUMBA_CACHE_DIR": str(cache)} if cache is not None else None)
    return of_tuner(ran, clock, trials)


def script_course(setting: Setting, seed: int, folder: Path, *, fused: bool = False) -> Course:
    """The peer's study."""
    subjects.DATA[setting.data]().write(folder / "data.npz")
    database = folder / "study.db"
    command = [sys.executable, str(SCRIPT), "--data", "data.npz", "--storage", f"sqlite:///{database}"]
    command += ["--trials", str(setting.trials), "--epochs", str(setting.epochs), "--seed", str(seed)]
    command += ["--widths", *map(str, setting.widths), *(["--fused"] if fused else [])]
    command += ["--batch-norm"] if setting.batch_norm else []
    if setting.seconds is not None:
        command += ["--seconds", str(setting.seconds)]
    return of_script(run(command, folder), database, setting.trials)


def course(program: str, setting: Setting, seed: int) -> Course:
    """One run of one program, in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if program in (PLAIN, FUSED):
            return script_course(setting, seed, folder, fused=program == FUSED)
        if program == OURS:
            return tuner_course(setting, seed, folder)
        cut = [] if setting.seconds is None else ["--seconds", str(setting.seconds + START_S)]
        return tuner_course(setting, seed, folder, ["--set", "trainer.rows=1", *cut])


def compare(setting: Setting, programs: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Course]]:
    """Every program on every seed, in turn."""
    found: dict[str, list[Course]] = {program: [] for program in programs}
    for seed in seeds:
        for program in programs:
            found[program].append(course(program, setting, seed))
            print(f"  {setting.title}: seed {seed}, {program} done", file=sys.stderr, flush=True)
    return found


def report(setting: Setting, found: dict[str, list[Course]]) -> None:
    """Print a table of medians (and ranges), and how often better we are."""
    pairs = len(next(iter(found.values())))
    print(f"\n### {setting.title}: {setting.trials} trials of up to {setting.epochs} epochs\n")
    print(
        f"Ours prunes by {setting.pruner}, the script by SuccessiveHalvingPruner, which is asha-stop. "
        f"Medians (ranges) of {pairs} seeds. Seconds to an accuracy count from the first trial's start; "
        "~: the program was cut short, and its whole process is told from its pace.\n"
    )
    reach = " | ".join(f"s to {name}" for name in SPANS)
    print(f"| | trials run | trials/s | trial-epochs/s | best accuracy | {reach} | whole process s | MB |")
    print("|---|" + "--:|" * (6 + len(SPANS)))
    for program, courses in found.items():
        whole = "" if all(c.is_whole for c in courses) else "~"
        cells = [
            _spread([len(c.starts) for c in courses], "{:.0f}"),
            _spread([c.trials_per_s for c in courses], "{:.2f}"),
            _spread([c.epochs_per_s for c in courses], "{:.0f}"),
            _spread([c.accuracy for c in courses], "{:.4f}"),
            *(_reached(courses, accuracy) for accuracy in SPANS.values()),
            whole + _spread([c.whole_s for c in courses], "{:.1f}"),
            _spread([c.ran.memory_mb for c in courses], "{:.0f}"),
        ]
        print(f"| {program} | {' | '.join(cells)} |")
    if OURS in found and len(found) > 1:
        _report_ratios(setting, found)


def _report_ratios(setting: Setting, found: dict[str, list[Course]]) -> None:
    others = [program for program in found if program != OURS]
    print(f"\n| {OURS} is better by | {' | '.join(others)} | must be, against the script |")
    print("|---|" + "--:|" * (len(others) + 1))
    for must in musts(setting.widths, setting.batch_norm):
        cells = [must.told(found[OURS], found[program]) for program in others]
        print(f"| {must.name} | {' | '.join(cells)} | {f'{must.least:g} times' if must.least else ''} |")


def report_cold(setting: Setting) -> None:
    """Print what the first study on a machine costs, when nothing is compiled yet."""
    with tempfile.TemporaryDirectory() as name:
        for place in ("study", "cache"):
            (Path(name) / place).mkdir()
        cold = tuner_course(setting, 0, Path(name) / "study", cache=Path(name) / "cache")
    print(
        f"\nThe first time, nothing compiled yet: {setting.title}, {len(cold.starts)} trials, whole process "
        f"{cold.ran.wall_s:.1f} s."
    )


def report_shipped(names: Sequence[str], trials: int, seeds: Sequence[int]) -> None:
    """Print every shipped study, as it comes and one trial at a time."""
    print(f"\n### Every shipped study, {trials} trials: as it comes, and with trainer.rows = 1\n")
    print("| study | trial-epochs/s | rows = 1 | better by | whole process s | rows = 1 | better by |")
    print("|---|" + "--:|" * 6)
    for name in names:
        ours: list[Course] = []
        ones: list[Course] = []
        for seed in seeds:
            for courses, options in ((ours, ()), (ones, ("--set", "trainer.rows=1"))):
                with tempfile.TemporaryDirectory() as folder:
                    asked = ["--trials", str(trials), "--seed", str(seed), *options]
                    courses.append(started(name, Path(folder), trials, asked))
        pace = Must("", 1, lambda c: len(c.epochs) / c.seconds)
        whole = Must("", 1, lambda c: c.ran.wall_s, falls=True)
        cells = []
        for must, form in ((pace, "{:.0f}"), (whole, "{:.1f}")):
            cells += [_spread([must.of(c) for c in courses], form) for courses in (ours, ones)]
            cells.append(must.told(ours, ones))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def shipped() -> list[str]:
    """The names of the shipped studies."""
    return sorted(path.stem for path in content.shipped("study").glob("*.toml"))


def _reached(courses: Sequence[Course], accuracy: float) -> str:
    """Median of the seconds; a run that never got there counts as infinite, and is told."""
    moments = [c.reached_s(accuracy) for c in courses]
    middle = statistics.median(moments)
    missed = sum(map(math.isinf, moments))
    text = f"{middle:.1f}" if math.isfinite(middle) else f"> {min(c.seconds for c in courses):.0f}"
    return f"{text} (never: {missed} of {len(courses)})" if missed else _spread(moments, "{:.1f}")


def _spread(values: Sequence[float], form: str) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    middle = form.format(statistics.median(known))
    low, high = form.format(min(known)), form.format(max(known))
    return middle if low == high else f"{middle} ({low}-{high})"


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3, help="seeds")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--data", nargs="+", default=list(subjects.DATA), choices=subjects.DATA)
    parser.add_argument("--widths", choices=["small", "large", "both"], default="both")
    parser.add_argument("--batch-norm", action="store_true", help="a network of one's own with batch norm")
    parser.add_argument("--pruner", default="asha-stop", choices=["asha", "asha-stop"], help="ours")
    parser.add_argument("--only", nargs="+", default=[OURS, ONE, PLAIN], choices=PROGRAMS, metavar="PROGRAM")
    parser.add_argument("--seconds-of-peer", type=float, default=60.0, help="cut slow programs after")
    parser.add_argument("--full", action="store_true", help="cut nothing")
    parser.add_argument(
        "--quick", action="store_true", help="one pair, 100 trials, slow programs cut after 30 s"
    )
    parser.add_argument("--smoke", action="store_true", help="few trials of few epochs: does it run at all")
    parser.add_argument("--studies", nargs="*", default=shipped(), help="shipped studies to compare")
    parser.add_argument("--study-trials", type=int, default=30)
    parser.add_argument("--profile", action="store_true", help="only: where our time goes")
    options = parser.parse_args()
    if options.smoke:
        options.pairs, options.trials, options.data, options.widths = 1, 4, ["digits"], "small"
        options.studies, options.study_trials = options.studies[:1], 2
    if options.quick:
        options.pairs, options.trials, options.seconds_of_peer = 1, 100, 30.0
    epochs = 3 if options.smoke else subjects.EPOCHS
    seconds = None if options.full else options.seconds_of_peer
    chosen = {"small": WIDTHS[:1], "large": WIDTHS[1:], "both": WIDTHS}[options.widths]
    settings = [
        Setting(data, widths, options.trials, epochs, seconds, options.pruner, options.batch_norm)
        for data in options.data
        for widths in chosen
    ]
    # A benchmark that is told to end takes the programs that it started with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(machine(), flush=True)
    if options.profile:
        from benchmarks import hotspots

        hotspots.report(settings)
        return
    seeds = range(options.pairs)
    for setting in settings:
        if OURS in options.only:
            # What is compiled once for a machine is compiled here.
            course(OURS, setting, len(seeds))
        report(setting, compare(setting, options.only, seeds))
    if OURS in options.only:
        report_cold(settings[0])
    if OURS in options.only and options.studies:
        report_shipped(options.studies, options.study_trials, seeds)


if __name__ == "__main__":
    main()
