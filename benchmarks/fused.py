"""Fused rows beside the reference trainer: the same random trials, one thread, pairs alternated.

Run: python benchmarks/fused.py [--trials N] [--epochs N] [--rounds N]
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Sequence

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuner import content
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.space import Choice, Int
from tuner.core.spec import StudySpec
from tuner.core.training import TrialBatch
from tuner.core.trial import Params, Reading, Trial, Value
from tuner.trainers import open_batch
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.trainer import TorchTrainer

WIDTHS = ((16, 32, 64), (128, 256))
ROWS = (1, 8, 16, 32)


def digits() -> Dataset:
    bunch = load_digits()
    x, y = bunch.data.astype("float32"), bunch.target.astype("int64")
    x, _, y, _ = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    classes = tuple(str(name) for name in bunch.target_names)
    return Dataset(Split(x, y), Split(x_val, y_val), Task.CLASSIFICATION, classes, scaling="min-max")


def study(widths: Sequence[int], epochs: int) -> StudySpec:
    return StudySpec.parse(
        {
            "trainer": {"model": "mlp", "epochs": epochs},
            "space": {
                "use": ["optimization", "batch", "regularization", "initialization"],
                "width": {"type": "choice", "choices": list(widths), "default": widths[0]},
                "activation": {
                    "type": "choice",
                    "choices": ["tanh", "relu", "gelu", "silu"],
                    "default": "relu",
                },
            },
        },
        find_space=lambda name: content.read(content.find("space", name)),
    )


def drawn(spec: StudySpec, number: int) -> Trial:
    """A trial whose every active parameter is uniform on its scale."""
    space, chance = spec.search_space(), random.Random(number)
    params: dict[str, Value] = dict(space.fixed)
    for name, parameter in space:
        if not parameter.active_under(params):
            continue
        if isinstance(parameter, Choice):
            params[name] = chance.choice(parameter.choices)
        elif isinstance(parameter, Int):
            params[name] = chance.randint(parameter.low, parameter.high)
        elif parameter.log:
            params[name] = math.exp(chance.uniform(math.log(parameter.low), math.log(parameter.high)))
        else:
            params[name] = chance.uniform(parameter.low, parameter.high)
    return Trial(number, params, 0)


def seconds(batch: TrialBatch, trials: Sequence[Trial], epochs: int) -> float:
    """CPU time of training all trials to their end, freed rows refilled at once."""
    waiting, running = list(trials)[::-1], 0
    begin = time.process_time()
    free = list(range(batch.capacity))
    while waiting or running:
        while free and waiting:
            batch.place(free.pop(), waiting.pop())
            running += 1
        for row, outcome in batch.advance().items():
            if not isinstance(outcome, Reading):
                raise RuntimeError(f"a trial failed: {outcome}")
            if outcome.epoch == epochs:
                batch.clear(row)
                free.append(row)
                running -= 1
    return time.process_time() - begin


def best_case(data: Dataset, rounds: int) -> float:
    """How many times faster width 32, batch 16, relu and adam go without regularization."""
    spec = study((32,), 3)
    params: Params = {"width": 32, "batch_size": 16}
    trials = [Trial(number, params, 0) for number in range(2)]
    pairs = []
    for _ in range(rounds):
        slow = seconds(open_batch(TorchTrainer(), Job(spec, data)), trials, 3)
        pairs.append(slow / seconds(FusedBatch(Job(spec, data, rows=2)), trials, 3))
    return statistics.median(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits()
    warm = study((16,), 1)
    seconds(FusedBatch(Job(warm, data)), [drawn(warm, 0)], 1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}; ", end="")
    print(f"digits, {options.trials} uniform random trials of {options.epochs} epochs, CPU time, medians")
    print(f"{'widths':>12} {'rows':>5} {'reference':>12} {'fused':>12} {'ratio':>7}   trial-epochs/s")
    for widths in WIDTHS:
        spec = study(widths, options.epochs)
        trials = [drawn(spec, number) for number in range(options.trials)]
        count = options.trials * options.epochs
        slow: list[float] = []
        fast: dict[int, list[float]] = {rows: [] for rows in ROWS}
        for _ in range(options.rounds):
            slow.append(seconds(open_batch(TorchTrainer(), Job(spec, data)), trials, options.epochs))
            for rows in ROWS:
                batch = FusedBatch(Job(spec, data, rows=rows))
                fast[rows].append(seconds(batch, trials, options.epochs))
        for rows, times in fast.items():
            ratio = statistics.median(a / b for a, b in zip(slow, times, strict=True))
            one, many = (count / statistics.median(t) for t in (slow, times))
            print(f"{widths!s:>12} {rows:>5} {one:>12.1f} {many:>12.1f} {ratio:>6.1f}x")
    print(f"width 32, batch 16, relu, adam, nothing else: {best_case(data, options.rounds):.1f}x")


if __name__ == "__main__":
    main()
