"""The next 50 trials after 200 of Optuna's: by Optuna, and by tuner after `tune import`.

Each seed makes a study of 200 trials with Optuna's TPE, its default sampler. Optuna goes on with it for 50
trials; tuner imports the same file and goes on for 50 with the same objective, unchanged, by
`tuner.from_optuna`. The objectives are formulas, so that only the search counts. tuner's trial 0 is the
default configuration, as in every study, and is among the 50.

What is compared, paired by seed: the best value of the 50, the median of the 50, and how far the best of all
250 improved on the best of the 200.

Run: python -m benchmarks.migration [--seeds N] [--smoke]
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna

import tuner
from benchmarks.processes import machine
from benchmarks.quality import chance_of

Objective = Callable[[Any], float]


def training(trial: Any) -> float:
    """The loss of an imagined network: a valley in rate and width, a choice, a decay that only one has."""
    rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    width = trial.suggest_int("width", 4, 512, log=True)
    kind = trial.suggest_categorical("optimizer", ["sgd", "momentum", "adam"])
    dropout = trial.suggest_float("dropout", 0.0, 0.8)
    best_rate = {"sgd": -0.7, "momentum": -1.4, "adam": -2.9}[kind]
    loss = {"sgd": 0.12, "momentum": 0.04, "adam": 0.0}[kind]
    if kind == "adam":
        decay = trial.suggest_float("decay", 1e-7, 1e-1, log=True)
        loss += 0.02 * (math.log10(decay) + 3.0) ** 2
    away, size = math.log10(rate) - best_rate, math.log2(width) - 6.5
    return float(loss + 0.1 * away**2 + 0.02 * (size + 0.8 * away) ** 2 + 0.3 * (dropout - 0.25) ** 2)


def valley(trial: Any) -> float:
    """Rosenbrock's function in four numbers, as a logarithm."""
    x = [trial.suggest_float(f"x{at}", -2.0, 2.0) for at in range(4)]
    return math.log1p(sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x)))


def waves(trial: Any) -> float:
    """Many local minima: Ackley's function in three whole numbers and three real ones."""
    x = [trial.suggest_float(f"x{at}", -5.0, 7.0) for at in range(3)]
    x += [float(trial.suggest_int(f"n{at}", -5, 7)) for at in range(3)]
    near = math.exp(-0.2 * math.sqrt(statistics.fmean(each * each for each in x)))
    return 20 + math.e - 20 * near - math.exp(statistics.fmean(math.cos(2 * math.pi * each) for each in x))


OBJECTIVES: Sequence[Objective] = (training, valley, waves)


@dataclass(frozen=True)
class Continued:
    """The values of the further trials, in their order, and the best of those before."""

    values: Sequence[float]
    before: float

    @property
    def measures(self) -> dict[str, float]:
        """What is compared; less is better."""
        best = min(self.values)
        return {
            "best of the next trials": best,
            "their median": statistics.median(self.values),
            "best of all": min(best, self.before),
        }


def compare(objective: Objective, seed: int, first: int, further: int) -> tuple[Continued, Continued]:
    """Both continuations of one study: ours and Optuna's."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=first)
    before = study.best_value
    with tempfile.TemporaryDirectory() as name:
        old = f"sqlite:///{Path(name) / 'old.db'}"
        optuna.copy_study(
            from_study_name=study.study_name, from_storage=study._storage, to_storage=old, to_study_name="old"
        )
        mine = tuner.start(
            trainer=tuner.from_optuna(objective),
            known=str(Path(name) / "old.db"),
            name="old",
            trials=further,
            seed=seed,
            storage=f"sqlite:///{Path(name) / 'tuner.db'}",
            progress=False,
        )
        own = [r.value for r in mine.records if r.origin.value != "imported" and r.value is not None]
    study.optimize(objective, n_trials=further)
    theirs = [trial.value for trial in study.trials[first:] if trial.value is not None]
    assert len(own) == len(theirs) == further
    return Continued(own, before), Continued(theirs, before)


def report(found: dict[str, list[tuple[Continued, Continued]]]) -> None:
    """Print a line for each objective and measure."""
    print("| objective | | median, ours | Optuna's | ours better / equal / worse | p |")
    print("|---|---|--:|--:|--:|--:|")
    for name, pairs in found.items():
        for measure in pairs[0][0].measures:
            values = [(a.measures[measure], b.measures[measure]) for a, b in pairs]
            differences = [a - b for a, b in values]
            counts = (
                sum(d < 0 for d in differences),
                differences.count(0.0),
                sum(d > 0 for d in differences),
            )
            medians = (f"{statistics.median(side):.4f}" for side in zip(*values, strict=True))
            cells = [name, measure, *medians, " / ".join(map(str, counts)), f"{chance_of(differences):.3f}"]
            print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Compare, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--smoke", action="store_true", help="two seeds of 20 and 12 trials")
    given = parser.parse_args()
    seeds, first, further = (2, 20, 12) if given.smoke else (given.seeds, 200, 50)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(f"{machine()}\n\n{seeds} seeds, {further} trials after {first}\n")
    report(
        {each.__name__: [compare(each, seed, first, further) for seed in range(seeds)] for each in OBJECTIVES}
    )


if __name__ == "__main__":
    main()
