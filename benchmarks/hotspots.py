"""Where the time of a study's steady state goes, and how near its steps come to the matrix-multiply peak.

As a program it is `tune` with a clock at its store (see `clocked.py`) and a thread that looks, some
hundred times a second, at what every thread is doing: python hotspots.py SAMPLES.json start STUDY.toml ...
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import tuner

if TYPE_CHECKING:
    from benchmarks.throughput import Setting

LOOK_S = 2e-3
PACKAGE = Path(tuner.__file__).resolve().parent
SIZES = (256, 512, 1024, 2048)
ROOMS = {
    "fused": "training rows (kernels and what prepares them)",
    "trainers": "trainer (recipes, first weights, scores)",
    "search": "search (ask, tell)",
    "store": "store",
    "callbacks": "rules",
    "engine": "engine",
    "executors": "executor",
    "cli": "terminal",
}


class Sampler(threading.Thread):
    """Looks at all other threads until it is told to end.

    Attributes:
        seen: per look Unix time, CPU seconds of the process, and for every thread its name and the
            innermost place that is ours, or "" where it has none.
    """

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.seen: list[tuple[float, float, list[tuple[str, str]]]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(LOOK_S):
            names = {thread.ident: thread.name for thread in threading.enumerate() if thread is not self}
            places = [
                (names[ident], _place(frame))
                for ident, frame in sys._current_frames().items()
                if ident in names
            ]
            self.seen.append((time.time(), time.process_time(), places))


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        if place := _ours(frame.f_code):
            return place
        frame = frame.f_back
    return ""


@cache
def _ours(code: CodeType) -> str:
    path = Path(code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return ""
    return f"{path.relative_to(PACKAGE).with_suffix('')}:{code.co_qualname}"


def tune_sampled() -> None:
    """Be `tune`, and leave moments and samples behind."""
    from benchmarks.clocked import Clock
    from tuner.cli import main as tune

    path = Path(sys.argv.pop(1))
    clock, sampler = Clock(), Sampler()
    clock.watch()
    sys.setswitchinterval(1e-4)  # else the sampler waits for 5 ms behind running Python code
    sampler.start()
    try:
        tune()
    finally:
        sampler.over.set()
        sampler.join()
        table = {"starts": clock.starts, "epochs": clock.epochs, "samples": sampler.seen}
        path.write_text(json.dumps(table), encoding="utf-8")


def peak(threads: int) -> float:
    """The best rate of a float32 matrix product over a few sizes, in 1e9 operations per second."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    best = 0.0
    for size in SIZES:
        a, b, c = torch.rand(size, size), torch.rand(size, size), torch.empty(size, size)
        for _ in range(max(5, 2 * 10**10 // (2 * size**3))):
            begin = time.perf_counter()
            torch.mm(a, b, out=c)
            best = max(best, 2 * size**3 / (time.perf_counter() - begin))
    torch.set_num_threads(before)
    return best / 1e9


def weights(inputs: int, width: int, outputs: int = 10) -> int:
    """Of two hidden layers, without biases, which are not multiplied."""
    return inputs * width + width * width + width * outputs


def operations(parameters: int, trained: int, measured: int) -> int:
    """Of an epoch: forward and backward 6 for each weight and sample, evaluation 2."""
    return parameters * (6 * trained + 2 * measured)


def step_rates(data: str, seconds: float = 0.5) -> list[tuple[int, int, float]]:
    """What one thread reaches: width, batch size, 1e9 operations per second, evaluation included."""
    import torch

    from benchmarks import subjects
    from tuner.core.dataset import Dataset, Split, Task
    from tuner.core.job import Job
    from tuner.core.spec import StudySpec
    from tuner.core.trial import Trial
    from tuner.trainers.torch.trainer import TorchTrainer

    torch.set_num_threads(1)
    arrays = subjects.DATA[data]()
    trained, measured = len(arrays.x), 2 * len(arrays.x_validation)
    dataset = Dataset(
        Split(arrays.x, arrays.y),
        Split(arrays.x_validation, arrays.y_validation),
        Task.CLASSIFICATION,
        tuple(map(str, range(10))),
        scaling="none",
    )
    found = []
    for width in (16, 32, 64, 128, 256):
        for batch in subjects.BATCHES:
            spec = StudySpec.parse(subjects.study("step", Path("data.npz"), [width], trials=1, seed=0))
            rows = TorchTrainer().open_batch(Job(spec, dataset, rows=2))
            rows.place(0, Trial(0, {"width": width, "batch_size": batch, "optimizer": "adam"}, 0))
            rows.advance()
            times: list[float] = []
            while sum(times) < seconds and len(times) < spec.trainer.epochs - 1:
                begin = time.perf_counter()
                rows.advance()
                times.append(time.perf_counter() - begin)
            done = operations(weights(arrays.x.shape[1], width), trained, measured)
            found.append((width, batch, done / statistics.median(times) / 1e9))
    return found


def report(settings: Sequence[Setting]) -> None:
    """Print the peak, the steps' share of it, and each study's profile, in Markdown."""
    from benchmarks.processes import cores

    one, every = peak(1), peak(cores())
    print(
        f"\nMatrix-multiply peak, measured: {one:.0f} GF/s on one thread, {every:.0f} GF/s on {cores()}.",
        flush=True,
    )
    for data in dict.fromkeys(setting.data for setting in settings):
        rates = step_rates(data)
        batches = list(dict.fromkeys(batch for _, batch, _ in rates))
        print(f"\n### {data}: one fused row on one thread, GF/s and share of that thread's peak\n")
        print(f"| width | {' | '.join(f'batch {batch}' for batch in batches)} |")
        print("|---|" + "--:|" * len(batches))
        for width in dict.fromkeys(width for width, _, _ in rates):
            cells = [f"{rate:.0f} ({100 * rate / one:.0f} %)" for w, _, rate in rates if w == width]
            print(f"| {width} | {' | '.join(cells)} |", flush=True)
    for setting in settings:
        _report_study(setting, every)


def _report_study(setting: Setting, peak_rate: float) -> None:
    from benchmarks import subjects
    from benchmarks.courses import of_tuner
    from benchmarks.processes import run

    arrays = subjects.DATA[setting.data]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays.write(folder / "data.npz")
        table = subjects.study(
            "study",
            folder / "data.npz",
            setting.widths,
            trials=setting.trials,
            seed=0,
            epochs=setting.epochs,
            pruner=setting.pruner,
        )
        subjects.write_study(table, folder / "study.toml")
        storage, path = f"sqlite:///{folder / 'tuner.db'}", folder / "samples.json"
        command = [sys.executable, str(Path(__file__).resolve()), str(path), "start", "study.toml"]
        ran = run([*command, "--storage", storage], folder)
        params = [record.params for record in tuner.load("study", storage=storage).records]
        course, found = of_tuner(ran, path, setting.trials), json.loads(path.read_text(encoding="utf-8"))
    first = min(found["starts"].values())
    begin, end = (first + moment for moment in course.window)
    looks = [look for look in found["samples"] if begin < look[0] <= end]
    trained, measured = len(arrays.x), 2 * len(arrays.x_validation)
    inputs = arrays.x.shape[1]
    done = sum(
        operations(weights(inputs, int(params[number]["width"])), trained, measured)
        for moment, number, _, _ in found["epochs"]
        if begin < moment <= end
    )
    rate = done / (end - begin) / 1e9
    busy = (looks[-1][1] - looks[0][1]) / (looks[-1][0] - looks[0][0])
    print(f"\n### {setting.title}: the steady state of {setting.trials} trials, {end - begin:.1f} s\n")
    print(
        f"{course.trials_per_s:.1f} trials/s, {course.epochs_per_s:.0f} trial-epochs/s (slowed by sampling), "
        f"{busy:.2f} cores busy, {rate:.1f} GF/s in all: {100 * rate / peak_rate:.0f} % of the peak of all "
        f"threads. Startup {course.startup_s:.1f} s, whole process {ran.wall_s:.1f} s."
    )
    _report_threads(looks)


def _report_threads(looks: Sequence[Any]) -> None:
    """Two tables: shares of the main thread's time by room, and of every thread's time by function."""
    mains, places = defaultdict[str, float](float), defaultdict[str, float](float)
    threads: set[str] = set()
    for before, (moment, _, seen) in pairwise(looks):
        # A look that came late stands for all the time since the one before.
        weight = moment - before[0]
        for thread, place in seen:
            threads.add(thread)
            room = place.split("/")[0].split(":")[0]
            if thread == "MainThread":
                mains[ROOMS.get(room, room or "elsewhere")] += weight
            places[f"{'main' if thread == 'MainThread' else 'other'}: {place or 'idle'}"] += weight
    whole = looks[-1][0] - looks[0][0]
    for title, counter, count in (("main thread", mains, 8), (f"{len(threads)} threads", places, 16)):
        print(f"\n| {title} | share of the wall time |\n|---|--:|")
        for place, seconds in sorted(counter.items(), key=lambda pair: -pair[1])[:count]:
            print(f"| {place} | {100 * seconds / whole:.1f} % |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    tune_sampled()
