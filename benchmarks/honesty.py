"""Is what `tune confirm` says true? Small studies on data of which there is plenty: the truth is known.

Each study is searched and confirmed as a user would, on rows drawn anew. Then the recommended
configuration, the best of the search and the default are trained 15 more times on splits of their own, and
the mean on rows that were held back is taken for the truth. The kinds of studies (`KINDS`):

* generated: very noisy two-class rows, 300 for the study and 5,000 held back;
* digits: 600 of scikit-learn's, and the other 1,197;
* regression: Friedman's function with noise, 250 rows;
* three-class: a table of 150 rows with the means and covariances of the iris flowers;
* fixed: as generated, but the study brings its own 60 validation rows, so no split is drawn anew;
* equal, equal-fixed: the only parameter that is searched has no effect, so all configurations are equal;
  once with splits that are drawn anew, once with such of one's own.

Told are, each with the share that must be kept,

* how often the interval for new data covers the truth. The truth's own noise is counted in: the ends of
  the interval are moved outwards by it, in squares. It is that of 15 models, and for shares of hits also
  that of the rows held back, which are no more than digits has;
* how often the recommended configuration is truly worse than the default, beyond the noise of the 15 pairs
  (5 %, one-sided), beside what a plain best-of-N would have chosen;
* by how much the best value of the search is better than the truth, beside the test's number;
* how much of the gain over the default that best-of-N has in truth is kept;
* how often equal configurations are called clearly different, or another one than the default is
  recommended.

Every study is a line of --out as soon as it is done; what is there is not run again, so that it can be
run in slices, and by several processes at once (--share 1/2, --share 2/2).

Run: python -m benchmarks.honesty [--studies 400] [--only KIND] [--out FILE] [--share I/N] [--smoke]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits, load_iris, make_classification, make_friedman1

import tuner
from benchmarks.processes import machine
from tuner.api.repeats import Repeats
from tuner.judging.measures import measured
from tuner.store import Database
from tuner.trainers import load_model

STUDY: Mapping[str, Any] = {
    "data": {"scaling": "standard"},
    "trainer": {"use": "torch", "model": "mlp", "executor": "inline", "rows": 6, "checkpoint_seconds": 0.0},
    "search": {"sampler": "tpe", "pruner": "asha"},
    "space": {"use": ["optimization", "batch", "regularization", "initialization", "architecture"]},
    "confirm": {"auto": False},
}
NOTHING: Mapping[str, Any] = {
    "fixed": {"optimizer": "adam", "learning_rate": 0.003},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "default": 0.5},
}
"""A space whose only parameter has no effect: there is no such thing under Adam."""
TRIALS, EPOCHS, REPEATS = 12, 9, 15
LEVEL = 0.05


@dataclass(frozen=True)
class Data:
    """Rows for one study, and rows held back.

    Attributes:
        x: (N, D) of the study.
        y: (N,).
        held_x: (M, D).
        held_y: (M,) as a model names classes, or numbers.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    held_x: NDArray[Any]
    held_y: NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """One kind of studies.

    Attributes:
        rows: the data of a seed.
        task: what is predicted.
        fixed: how many of the rows are the study's own validation rows; 0: splits are drawn anew.
        equal: whether all configurations are equal; then the truth is not asked for.
        held: how many rows are held back.
    """

    rows: Callable[[int], Data]
    task: str = "classification"
    fixed: int = 0
    equal: bool = False
    held: int = 5_000


def generated(seed: int, held: int = 5_000) -> Data:
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


def regression(seed: int, held: int = 5_000) -> Data:
    """Friedman's first function of five inputs, three more that tell nothing, and noise."""
    x, y = make_friedman1(250 + held, 8, noise=2.0, random_state=seed)
    return Data(x[:250], y[:250], x[250:], y[250:])


def flowers(seed: int, held: int = 5_000) -> Data:
    """Three normal classes with the means and covariances of the iris flowers."""
    bunch, rng = load_iris(), np.random.default_rng(seed)
    y = rng.permutation(np.arange(150 + held) % 3)
    x = np.empty((len(y), 4))
    for label in range(3):
        its = bunch.data[bunch.target == label]
        count = int((y == label).sum())
        x[y == label] = rng.multivariate_normal(its.mean(axis=0), np.cov(its.T), count)
    return Data(x[:150], y[:150], x[150:], y[150:].astype(str))


def _halved(x: NDArray[Any], y: NDArray[Any], count: int, seed: int) -> Data:
    order = np.random.default_rng(seed).permutation(len(x))
    mine, held = order[:count], order[count:]
    return Data(x[mine], y[mine], x[held], y[held].astype(str))


KINDS: Mapping[str, Kind] = {
    "generated": Kind(generated),
    "digits": Kind(digits, held=1_197),
    "regression": Kind(regression, task="regression"),
    "three-class": Kind(flowers),
    "fixed": Kind(generated, fixed=60),
    "equal": Kind(generated, equal=True),
    "equal-fixed": Kind(generated, fixed=60, equal=True),
}


def study(kind: str, seed: int, trials: int, repeats: int) -> dict[str, Any]:
    """Search, confirm, and train on for the truth: a line of the results."""
    how = KINDS[kind]
    data = how.rows(seed)
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, chdir(folder):
        url, given = "sqlite:///tuner.db", None if how.fixed else (data.x, data.y)
        table = {
            **STUDY,
            "name": "study",
            "data": {**STUDY["data"], "task": how.task, "seed": seed},
            "trainer": {**STUDY["trainer"], "epochs": EPOCHS},
            "search": {**STUDY["search"], "seed": seed},
            "budget": {"trials": trials},
            "space": NOTHING if how.equal else STUDY["space"],
        }
        if how.fixed:
            judged = len(data.x) - how.fixed
            np.savez(
                "rows.npz",
                X=data.x[:judged], y=data.y[:judged],
                X_validation=data.x[judged:], y_validation=data.y[judged:],
            )  # fmt: skip
            table["data"] = {**table["data"], "source": "rows.npz"}
        tuner.start(table, data=given, storage=url)
        told = tuner.confirm("study", data=given, storage=url)
        naive = min(told.candidates, key=lambda c: math.inf if c.searched is None else c.searched).number
        truths = {} if how.equal else _truths(url, given, {naive, told.choice.recommended}, repeats, data)
    test = told.test
    if test is None:
        raise RuntimeError(f"{kind} {seed}: no test: {told.untested}")
    return {
        "kind": kind,
        "seed": seed,
        "naive": naive,
        "promised": told.search_value,
        "recommended": told.choice.recommended,
        "clear": any(each.is_clear for each in told.choice.against),
        "by_row": told.choice.by_row,
        "redrawn": told.redrawn,
        "test": {
            name: [each.low, each.estimate, each.high]
            for name, each in (("loss", test.loss), ("score", test.score))
        },
        "truths": truths,
    }


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _truths(
    url: str, given: Any, numbers: set[int], repeats: int, data: Data
) -> dict[str, dict[str, list[float]]]:
    """What further models of these trials and the default reach on the rows held back, by trial."""
    with Database.open(url) as database:
        # Only those whose value stands are trained again.
        records = [
            record if record.number in {0, *numbers} else replace(record, conclusive=False)
            for record in database.records("study")
        ]
        summary = database.study("study")
        again = Repeats.of(
            database, summary, records, 2, top=None, repeats=repeats, stored=None, data=given, trainer=None
        )
        again.train(
            database, url, records, None, summary.facts,
            in_process=False, observer=None, command="truth",
        )  # fmt: skip
        trained, files = again.records(database), database.artifacts(again.spec.name)
        paths = [[files.get(r.number) for r in each if r is not None and r.model_path] for each in trained]
    found = {}
    for number, its in zip(again.numbers, paths, strict=True):
        reached = [_reached(load_model(path), data) for path in its if path is not None]
        losses, scores = zip(*reached, strict=True)
        found[str(number)] = {"loss": list(losses), "score": list(scores)}
    return found


def _reached(model: Any, data: Data) -> tuple[float, float]:
    """Loss and score on the rows held back."""
    x, y = data.held_x, data.held_y
    if y.dtype.kind != "U":
        loss = model.losses(x, y).mean()
        return float(loss), float(measured("r2", y, [model.predict(x)]).values[0])
    classes = np.asarray(model.description["context"]["classes"])
    told = model.probabilities(x)  # (M, C), in the order of the classes
    true = (told * (y[:, None] == classes)).sum(axis=1)
    hits = classes[told.argmax(axis=1)] == y
    return float(-np.log(np.maximum(true, 1e-30)).mean()), float(hits.mean())


def covers(interval: Sequence[float], truths: Sequence[float], rows: int | None = None) -> bool:
    """Whether an interval holds the truth, of which the mean of so many models is a noisy number.

    Args:
        interval: low, estimate, high.
        truths: what each model reaches.
        rows: of how many rows they are shares; None where they are no shares.
    """
    low, estimate, high = interval
    truth = float(np.mean(truths))
    of_rows = math.sqrt(truth * (1 - truth) / rows) if rows else 0.0
    noise = float(stats.norm.ppf(0.975)) * math.hypot(float(stats.sem(truths)), of_rows)
    return (
        estimate - math.hypot(estimate - low, noise) <= truth <= estimate + math.hypot(high - estimate, noise)
    )


def worse(mine: Mapping[str, Sequence[float]], default: Mapping[str, Sequence[float]]) -> bool:
    """Whether a configuration is worse than the default beyond the noise, by its loss, pair by pair."""
    if len(mine["loss"]) != len(default["loss"]):
        return len(mine["loss"]) < len(default["loss"])
    gains = np.array(default["loss"]) - np.array(mine["loss"])
    if not gains.any():
        return False
    return bool(stats.ttest_1samp(gains, 0.0, alternative="less").pvalue < LEVEL)


def rows(studies: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The table's numbers for one kind."""
    clear = f"{np.mean([each['clear'] for each in studies]):.1%}"
    away = f"{np.mean([each['recommended'] != 0 for each in studies]):.1%}"
    found = {"studies": f"{len(studies)}"}
    if not studies[0]["truths"]:
        return found | {"something is called clear": clear, "not the default is recommended": away}
    covered: dict[str, list[bool]] = {"score": [], "loss": []}
    bad, bad_naive, naive_luck, our_luck = [], [], [], []
    kept, possible = 0.0, 0.0
    for each in studies:
        mine, default, plain = (each["truths"][str(n)] for n in (each["recommended"], 0, each["naive"]))
        for name, held in covered.items():
            shares = name == "score" and KINDS[each["kind"]].task == "classification"
            count = KINDS[each["kind"]].held if shares else None
            held.append(covers(each["test"][name], mine[name], count))
        bad.append(worse(mine, default))
        bad_naive.append(worse(plain, default))
        naive_luck.append(np.mean(plain["loss"]) - each["promised"])
        our_luck.append(np.mean(mine["loss"]) - each["test"]["loss"][1])
        kept += float(np.mean(default["loss"]) - np.mean(mine["loss"]))
        possible += float(np.mean(default["loss"]) - np.mean(plain["loss"]))
    return found | {
        "interval covers the true score (93 to 97 %)": f"{np.mean(covered['score']):.1%}",
        "interval covers the true loss (93 to 97 %)": f"{np.mean(covered['loss']):.1%}",
        "recommended is worse than the default (at most 1 %)": f"{np.mean(bad):.1%}",
        "best of N is worse than the default": f"{np.mean(bad_naive):.1%}",
        "loss promised too low: best value of the search": f"{np.mean(naive_luck):+.4f}",
        "loss promised too low: the test's number": f"{np.mean(our_luck):+.4f}",
        "gain over the default, as a share of best of N's": f"{kept / possible:.0%}" if possible > 0 else "",
        "something is called clear": clear,
        "not the default is recommended": away,
    }


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Lines of Markdown."""
    told = {kind: rows(studies) for kind, studies in found.items() if studies}
    yield f"| | {' | '.join(told)} |"
    yield "|---|" + "--:|" * len(told)
    for name in dict.fromkeys(name for each in told.values() for name in each):
        yield f"| {name} | {' | '.join(each.get(name, '') for each in told.values())} |"


def _read(out: Path) -> dict[str, dict[int, dict[str, Any]]]:
    found: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for line in out.read_text(encoding="utf-8").splitlines() if out.is_file() else []:
        each = json.loads(line)
        found[each["kind"]][each["seed"]] = each
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=400, help="of each kind")
    parser.add_argument("--only", choices=KINDS, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON lines; what is there is not run again")
    parser.add_argument("--share", default="1/1", help="I/N: every N-th study, from the I-th")
    parser.add_argument("--smoke", action="store_true", help="two tiny studies of each, to see that it runs")
    asked = parser.parse_args()
    # So small networks only lose by more.
    torch.set_num_threads(1)
    studies, trials, repeats = (2, 4, 3) if asked.smoke else (asked.studies, TRIALS, REPEATS)
    kinds = [asked.only] if asked.only else list(KINDS)
    share, shares = map(int, asked.share.split("/"))
    with tempfile.TemporaryDirectory() as folder:
        out = asked.out.resolve() if asked.out else Path(folder) / "studies.jsonl"
        known = _read(out)
        for seed in range(share - 1, studies, shares):
            for kind in kinds:
                if seed in known[kind]:
                    continue
                line = json.dumps(study(kind, seed, trials, repeats))
                with out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
            print(f"{seed + 1}/{studies}", file=sys.stderr, flush=True)
        found = {kind: list(each.values()) for kind, each in _read(out).items() if kind in kinds}
    print(f"{trials} trials each; {machine()}\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
