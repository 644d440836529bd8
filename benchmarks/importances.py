"""Is what is said to have mattered what mattered? Functions of which that is known, few trials, two samplers.

`python -m benchmarks.importances` takes a minute. In each function only the rate matters, or the rate and
which rule it is for; seven other parameters, some of them conditional, do nothing. For each number of
trials it counts in how many studies anything is named, and in how many of those the rate comes first.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tuner.core.importances import Importances
from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Params, TrialRecord, TrialState
from tuner.search import ObservedTrials, OptunaSearcher

SPACE = SearchSpace.compose(
    {
        "rate": Float(low=1e-5, high=1.0, log=True, default=1e-3),
        "rule": Choice(choices=("sgd", "momentum", "adam"), default="adam"),
        "momentum": Float(low=0.0, high=0.99, default=0.9, when={"rule": ("momentum",)}),
        "beta": Float(low=0.5, high=0.99, default=0.9, when={"rule": ("adam",)}),
        "batch": Choice(choices=(16, 32, 64, 128), default=32),
        "width": Int(low=8, high=256, log=True, default=32),
        "dropout": Float(low=0.0, high=0.5, default=0.0),
        "layers": Int(low=1, high=4, default=2),
    }
)
NOISE = 0.02
COUNTS = (12, 20, 40, 100)


def valley(at: float, floor: float = 0.0) -> Callable[[Params], float]:
    """A loss with one best rate, which is 10**at; flat within `floor` decades of it."""
    return lambda params: 0.2 * max(abs(math.log10(float(params["rate"])) - at) - floor, 0.0) ** 2


def cliff(params: Params) -> float:
    """Any rate does below a hundredth, none above."""
    return 1.0 if float(params["rate"]) > 0.01 else 0.1


def slope(params: Params) -> float:
    """The higher the rate the better."""
    return -0.2 * math.log10(float(params["rate"]))


FUNCTIONS: Mapping[str, Callable[[Params], float]] = {
    "valley in the middle": valley(-2.5),
    "valley aside": valley(-1.3),
    "flat valley": valley(-2.0, 0.7),
    "cliff": cliff,
    "slope": slope,
}


def study(loss: Callable[[Params], float], sampler: str, trials: int, seed: int) -> list[TrialRecord]:
    """The records of a study of the function, noise on top."""
    searcher = OptunaSearcher(SPACE, SearchSpec(sampler=sampler, seed=seed), Objective())
    noise = np.random.default_rng(seed)
    records: list[TrialRecord] = []
    for _ in range(trials):
        for trial in searcher.ask(1):
            value = loss(trial.params) + NOISE * float(noise.normal())
            record = TrialRecord(
                trial.number, trial.params, TrialState.FINISHED, value=value, epochs=1, conclusive=True
            )
            searcher.tell([record])
            records.append(record)
    return records


def named(loss: Callable[[Params], float], sampler: str, seed: int) -> Iterator[tuple[int, Importances]]:
    """What is said after each of `COUNTS` trials of one study."""
    records = study(loss, sampler, max(COUNTS), seed)
    for count in COUNTS:
        yield count, ObservedTrials(SPACE, records[:count], Objective()).explained()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    print(f"of {seeds} studies: in how many anything is named, the rate first, and others named in all")
    for name, loss in FUNCTIONS.items():
        for sampler in ("random", "tpe"):
            found = [each for seed in range(seeds) for each in named(loss, sampler, seed)]
            cells = []
            for count in COUNTS:
                told = [one for trials, one in found if trials == count and one]
                first = sum(next(iter(one)) == "rate" for one in told)
                others = sum(share > 0 for one in told for other, share in one.items() if other != "rate")
                cells.append(f"{count:4} trials {len(told):3} {first:3} {others:3}")
            print(f"{name:22}{sampler:8}" + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
