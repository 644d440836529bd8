"""A training loop of one's own: two workers of a study beside two plain processes that train the same trials.

An epoch is a fixed number of matrix products, calibrated to so many milliseconds, and yields a state of
150 kB. The study comes first, with its pruner, reports, decisions and checkpoints; the plain processes then
take its configurations in the order of their numbers, for as many epochs each, without a tuner. Both
write down when an epoch began and ended; the rate is that from the first beginning to the last end.

Run: python -m benchmarks.ownloop [--pairs N] [--milliseconds N ...] [--seconds N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import machine

WORKERS = 2
SIZE = 96
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

Trained = list[tuple[dict[str, Any], int]]
"""The parameters of trials, and how many epochs they trained."""

STUDY = """
name = "ownloop"
[trainer]
use = "benchmarks.ownloop:train"
epochs = 27
workers = 2
settings = {{ products = {products}, log = "{log}" }}
[search]
seed = {seed}
[budget]
trials = {trials}
[space.learning_rate]
type = "float"
low = 1e-4
high = 1e-1
log = true
[space.width]
type = "int"
low = 8
high = 64
"""


def train(params: Mapping[str, Any], context: Any) -> Iterator[Mapping[str, Any]]:
    """Epochs of constant work, whose loss depends on the configuration."""
    products, log = int(context.settings["products"]), Path(context.settings["log"])
    weights = rotation()
    state = {"weights": weights, "moments": np.zeros((SIZE, SIZE)), "step": 0}
    if before := context.resume():
        state = before
    file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    best = abs(np.log10(params["learning_rate"]) + 2.5) + params["width"] / 640
    while True:
        began = time.time()
        _work(state["weights"], products)
        state["step"] += 1
        loss = best + 1 / state["step"]
        os.write(file, f"{began} {time.time()}\n".encode())
        yield {"val_loss": loss, "train_loss": loss, "state": state}


def rotation() -> Any:
    """A matrix whose powers neither grow nor vanish."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0]


def _work(weights: Any, products: int) -> None:
    found = weights
    for _ in range(products):
        found = found @ weights


def calibrated(milliseconds: float) -> int:
    """How many products take so long."""
    weights = rotation()
    each = []
    for _ in range(20):
        began = time.process_time()
        _work(weights, 200)
        each.append((time.process_time() - began) / 200)
    return max(1, round(milliseconds / 1e3 / min(each)))


def plainly(trials: Trained, settings: dict[str, Any], taken: str) -> None:
    """What a plain process does: it takes the next trial that nobody has taken, until there is none."""

    class Context:
        resume = staticmethod(lambda: None)

    Context.settings = settings  # type: ignore[attr-defined]
    for number, (params, epochs) in enumerate(trials):
        try:
            Path(taken, str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        readings = train(params, Context)
        for _ in range(epochs):
            next(readings)


def rate(log: Path) -> float:
    """Trial-epochs per second."""
    times = np.loadtxt(log, ndmin=2)
    return float(len(times) / (times[:, 1].max() - times[:, 0].min()))


def study_rate(
    products: int, trials: int, seed: int, folder: Path
) -> tuple[float, list[tuple[dict[str, Any], int]]]:
    """Of a study, and the trials that it trained."""
    import tuner

    log, file = folder / "study.log", folder / "study.toml"
    file.write_text(STUDY.format(products=products, log=log, seed=seed, trials=trials))
    code = f"import tuner; tuner.start({str(file)!r}, progress=False)"
    environment = {**os.environ, **THREADS, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
    records = tuner.load("ownloop", storage=f"sqlite:///{folder / 'tuner.db'}").records
    return rate(log), [(dict(record.params), record.epochs) for record in records if record.epochs]


def plain_rate(products: int, trials: Trained, folder: Path) -> float:
    """Of two plain processes that train the same."""
    log = folder / "plain.log"
    told = json.dumps([trials, {"products": products, "log": str(log)}])
    environment = {**os.environ, **THREADS, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import json, sys; from benchmarks.ownloop import plainly; "
    code += "plainly(*json.loads(sys.argv[1]), sys.argv[2])"
    (folder / "taken").mkdir()
    running = [
        subprocess.Popen([sys.executable, "-c", code, told, str(folder / "taken")], env=environment)
        for _ in range(WORKERS)
    ]
    if any(process.wait() for process in running):
        raise RuntimeError("a plain process failed")
    return rate(log)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--milliseconds", type=int, nargs="*", default=[20, 100, 500])
    parser.add_argument("--seconds", type=float, default=20.0, help="about how long a study trains")
    options = parser.parse_args()
    print(f"{machine()}\n")
    print("| an epoch | trial-epochs/s of the study | of plain processes | share | of each pair |")
    print("|--:|--:|--:|--:|---|")
    for milliseconds in options.milliseconds:
        products = calibrated(milliseconds)
        # Of 27 epochs the pruner leaves about a third.
        trials = max(6, round(options.seconds * 1e3 * WORKERS / milliseconds / 9))
        mine, its = [], []
        for seed in range(options.pairs):
            with tempfile.TemporaryDirectory() as folder:
                found, trained = study_rate(products, trials, seed, Path(folder))
                mine.append(found)
                its.append(plain_rate(products, trained, Path(folder)))
        shares = [a / b for a, b in zip(mine, its, strict=True)]
        each = ", ".join(f"{share:.1%}" for share in shares)
        print(
            f"| {milliseconds} ms | {statistics.median(mine):.1f} | {statistics.median(its):.1f} | "
            f"{statistics.median(shares):.1%} | {each} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
