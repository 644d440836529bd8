"""Is what `tune confirm` says true? Small studies on data of which there is plenty: the truth is known.

Two kinds of data: very noisy two-class rows from a generator, 300 for the study and 20,000 held back, drawn
anew for each study; and scikit-learn's digits, 600 for the study and the other 1,197 held back, another
600 each time. Each study is searched and confirmed as a user would; then the recommended configuration,
the best of the search and the default are trained 20 more times on splits of their own, and the mean on
the rows held back is taken for the truth. Told are

* how often the interval for new data covers the truth (95 % are promised);
* how often the recommended configuration is truly worse than the default, beyond the noise of the 20 pairs
  (5 %, one-sided), beside what a plain best-of-N would have chosen;
* by how much the best value of the search is better than the truth, beside the test's number;
* how much of the gain over the default that best-of-N has in truth is kept.

Run: python -m benchmarks.honesty [--studies 100] [--only generator|digits] [--smoke]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits, make_classification

import tuner
from benchmarks.processes import machine
from tuner.api.repeats import Repeats
from tuner.store import Database
from tuner.trainers import load_model

STUDY: Mapping[str, Any] = {
    "data": {"scaling": "standard", "task": "classification"},
    "trainer": {"use": "torch", "model": "mlp", "executor": "inline", "rows": 2, "checkpoint_seconds": 0.0},
    "search": {"sampler": "tpe", "pruner": "asha"},
    "space": {"use": ["optimization", "batch", "regularization", "initialization", "architecture"]},
}
TRIALS, EPOCHS, REPEATS = 25, 9, 20
LEVEL = 0.05


@dataclass(frozen=True)
class Data:
    """Rows for one study, and rows held back.

    Attributes:
        x: (N, D) of the study.
        y: (N,).
        held_x: (M, D).
        held_y: (M,) as a model names classes.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    held_x: NDArray[Any]
    held_y: NDArray[Any]


@dataclass(frozen=True)
class Truth:
    """What further models of one configuration reach on the rows held back, (R,) each."""

    losses: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def of(cls, models: Sequence[Any], data: Data) -> Truth:
        """Measured by a single pass over the rows held back."""
        losses, scores = [], []
        for model in models:
            classes = np.asarray(model.description["context"]["classes"])
            told = model.probabilities(data.held_x)  # (M, C)
            places = np.searchsorted(np.sort(classes), data.held_y)
            true = told[np.arange(len(told)), np.argsort(classes)[places]]
            losses.append(float(-np.log(np.maximum(true, 1e-30)).mean()))
            scores.append(float((classes[told.argmax(axis=1)] == data.held_y).mean()))
        return cls(tuple(losses), tuple(scores))


@dataclass(frozen=True)
class Found:
    """One study.

    Attributes:
        naive: the best trial of the search.
        truths: of that one, the recommended one and the default, by number.
    """

    confirmation: Mapping[str, Any]
    naive: int
    truths: Mapping[int, Truth]


def generated(seed: int, held: int = 20_000) -> Data:
    """Two noisy classes in twelve dimensions, five of which tell something."""
    x, y = make_classification(
        300 + held, 12, n_informative=5, n_redundant=2, n_clusters_per_class=3, flip_y=0.3, class_sep=0.9,
        random_state=seed,
    )  # fmt: skip
    return _halved(x, y, 300, seed)


def digits(seed: int) -> Data:
    """600 of the 1,797 digits."""
    bunch = load_digits()
    return _halved(bunch.data, bunch.target, 600, seed)


def _halved(x: NDArray[Any], y: NDArray[Any], count: int, seed: int) -> Data:
    order = np.random.default_rng(seed).permutation(len(x))
    mine, held = order[:count], order[count:]
    return Data(x[mine], y[mine], x[held], y[held].astype(str))


KINDS: Mapping[str, Callable[[int], Data]] = {"generator": generated, "digits": digits}


def found(data: Data, seed: int, trials: int, repeats: int) -> Found:
    """Search, confirm, and train on for the truth."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        url, given = "sqlite:///tuner.db", (data.x, data.y)
        table = {
            **STUDY,
            "name": "study",
            "data": {**STUDY["data"], "seed": seed},
            "trainer": {**STUDY["trainer"], "epochs": EPOCHS},
            "search": {**STUDY["search"], "seed": seed},
            "budget": {"trials": trials},
        }
        tuner.start(table, data=given, storage=url)
        told = tuner.confirm("study", data=given, storage=url)
        naive = min(told.candidates, key=lambda c: math.inf if c.searched is None else c.searched).number
        judged = {naive, told.choice.recommended}
        with Database.open(url) as database:
            # Only those whose value stands are trained again.
            records = [
                record if record.number in {0, *judged} else replace(record, conclusive=False)
                for record in database.records("study")
            ]
            again = Repeats.of(
                database,
                database.study("study"),
                records,
                2,
                top=None,
                repeats=repeats,
                stored=None,
                data=given,
                trainer=None,
            )
            again.train(
                database, url, records, None, database.study("study").facts,
                in_process=False, observer=None, command="truth",
            )  # fmt: skip
            trained = again.records(database)
        truths = {}
        for number, each in zip(again.numbers, trained, strict=True):
            models = [
                load_model(Path(r.model_path)) for r in each if r is not None and r.model_path is not None
            ]
            truths[number] = Truth.of(models, data)
        return Found(told.to_table(), naive, truths)


def worse(mine: Truth, default: Truth) -> bool:
    """Whether a configuration is worse than the default beyond the noise, by its loss, pair by pair."""
    if len(mine.losses) != len(default.losses):
        return len(mine.losses) < len(default.losses)
    gains = np.array(default.losses) - np.array(mine.losses)
    if not gains.any():
        return False
    return bool(stats.ttest_1samp(gains, 0.0, alternative="less").pvalue < LEVEL)


def rows(studies: Sequence[Found]) -> dict[str, str]:
    """The table's numbers."""
    covered: dict[str, list[bool]] = {"score": [], "loss": []}
    bad, bad_naive, naive_luck, our_luck = [], [], [], []
    kept, possible, is_default = 0.0, 0.0, []
    for study in studies:
        told = study.confirmation
        chosen = told["choice"]["recommended"]
        mine, default, plain = (study.truths[n] for n in (chosen, 0, study.naive))
        for name, values in (("score", mine.scores), ("loss", mine.losses)):
            interval = told["test"][name]
            covered[name].append(interval["low"] <= np.mean(values) <= interval["high"])
        bad.append(worse(mine, default))
        bad_naive.append(worse(plain, default))
        naive_luck.append(np.mean(plain.losses) - told["naive"])
        our_luck.append(np.mean(mine.losses) - told["test"]["loss"]["estimate"])
        kept += float(np.mean(default.losses) - np.mean(mine.losses))
        possible += float(np.mean(default.losses) - np.mean(plain.losses))
        is_default.append(chosen == 0)
    return {
        "interval covers the true accuracy": f"{np.mean(covered['score']):.0%}",
        "interval covers the true loss": f"{np.mean(covered['loss']):.0%}",
        "recommended is worse than the default": f"{np.mean(bad):.1%}",
        "best of N is worse than the default": f"{np.mean(bad_naive):.1%}",
        "loss promised too low: best value of the search": f"{np.mean(naive_luck):+.4f}",
        "loss promised too low: the test's number": f"{np.mean(our_luck):+.4f}",
        "gain over the default, as a share of best of N's": f"{kept / possible:.0%}" if possible > 0 else "",
        "the default is recommended": f"{np.mean(is_default):.0%}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--only", choices=KINDS, default=None)
    parser.add_argument("--smoke", action="store_true", help="two tiny studies, to see that it runs")
    asked = parser.parse_args()
    studies, trials, repeats = (2, 4, 3) if asked.smoke else (asked.studies, TRIALS, REPEATS)
    kinds = [asked.only] if asked.only else list(KINDS)
    results: dict[str, list[Found]] = {kind: [] for kind in kinds}
    for seed in range(studies):
        for kind in kinds:
            results[kind].append(found(KINDS[kind](seed), seed, trials, repeats))
        print(f"{seed + 1}/{studies}", file=sys.stderr, flush=True)
    print(f"{studies} studies of {trials} trials each; {machine()}\n")
    tables = [rows(results[kind]) for kind in kinds]
    print(f"| | {' | '.join(kinds)} |")
    print("|---|" + "--:|" * len(kinds))
    for name in tables[0]:
        print(f"| {name} | {' | '.join(table[name] for table in tables)} |")


if __name__ == "__main__":
    main()
