"""A training function, a script and frameworks' loops as trials, beside the same under plain Optuna.

The training is a few operations, so what is measured is what a study adds to it: overhead per trial-epoch is
the wall time of more trials less that of few, divided by their epochs. Both sides keep every epoch in SQLite,
ask for random configurations, and prune none. Of a command the time that the script takes alone is
subtracted.

Lines changed are those of a diff from the script without a tuner. Killed: a process that drives the study is
ended by SIGKILL at drawn moments and started again until the study is complete; a trial is lost that is never
ended, and an epoch that is trained twice.

Of Lightning, Keras and transformers the peer is optuna-integration's callback (of transformers one by hand,
as there is none), and overhead is what an epoch takes longer than in the script without a tuner, the
beginnings of trials included. They also race: two processes, the same random configurations in the same
order, each side's successive halving, which pauses trials in tuner and ends them in Optuna, and the time from
the start of the processes until a value is reached that both reach. Needs `optuna-integration` beside the
frameworks.

Run: python -m benchmarks.loops [--trials N] [--epochs N] [--kills N] [--races N] [--only WORD] [--quick]
"""

from __future__ import annotations

import argparse
import difflib
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from benchmarks.peers.framework_scripts import DRIVER, SCRIPTS
from benchmarks.processes import machine

FUNCTION = """\
def train(rate):
    x = 1.0
    for epoch in range(EPOCHS):
        x -= rate * x
        print(f"val_loss={(x - 0.1) ** 2}")


train(0.1)
"""
FUNCTION_TUNER = """\
import tuner


def train(params, context):
    x = 1.0
    for epoch in range(context.epochs):
        x -= params["rate"] * x
        context.report(val_loss=(x - 0.1) ** 2)


space = {"rate": tuner.Float(low=0.001, high=1.0, default=0.1)}
tuner.start(trainer=train, space=space, trials=TRIALS, name="s", exists="resume", settings=SETTINGS)
"""
FUNCTION_OPTUNA = """\
import optuna


def train(trial):
    rate = trial.suggest_float("rate", 0.001, 1.0)
    x = 1.0
    for epoch in range(EPOCHS):
        x -= rate * x
        trial.report((x - 0.1) ** 2, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return (x - 0.1) ** 2


study = optuna.create_study(
    storage="sqlite:///optuna.db", study_name="s", load_if_exists=True,
    sampler=optuna.samplers.RandomSampler(0), pruner=optuna.pruners.NopPruner(),
)
study.optimize(train, n_trials=TRIALS - sum(t.state.is_finished() for t in study.trials))
"""
SCRIPT = """\
import sys

rate = float(sys.argv[1])
x = 1.0
for epoch in range(EPOCHS):
    x -= rate * x
    print(f"val_loss={(x - 0.1) ** 2}", flush=True)
"""
SCRIPT_REPORTS = """\
import tuner

rate = tuner.params(rate=0.1)["rate"]
x = 1.0
for epoch in range(EPOCHS):
    x -= rate * x
    tuner.report(val_loss=(x - 0.1) ** 2)
"""
COMMAND_TUNER = """\
import tuner

space = {"rate": tuner.Float(low=0.001, high=1.0, default=0.1)}
study = {"trainer": {"command": "python script.py ${rate}"}}
tuner.start(study, space=space, trials=TRIALS, name="s", exists="resume", settings=SETTINGS)
"""
COMMAND_OPTUNA = """\
import subprocess, sys
import optuna


def train(trial):
    rate = trial.suggest_float("rate", 0.001, 1.0)
    arguments = [sys.executable, "script.py", str(rate)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for epoch, line in enumerate(process.stdout):
            value = float(line.removeprefix("val_loss="))
            trial.report(value, epoch)
            if trial.should_prune():
                process.terminate()
                raise optuna.TrialPruned
    return value


study = optuna.create_study(
    storage="sqlite:///optuna.db", study_name="s", load_if_exists=True,
    sampler=optuna.samplers.RandomSampler(0), pruner=optuna.pruners.NopPruner(),
)
study.optimize(train, n_trials=TRIALS - sum(t.state.is_finished() for t in study.trials))
"""
QUIET = "import optuna\noptuna.logging.set_verbosity(optuna.logging.ERROR)\n"


def changed(before: str, after: str) -> int:
    """How many lines are new or other ones."""
    return sum(line.startswith("+ ") for line in difflib.ndiff(before.splitlines(), after.splitlines()))


def program(text: str, trials: int, epochs: int, *, pause_s: float = 0.0) -> str:
    """A text with its numbers filled in; `pause_s` is slept in each epoch."""
    settings = {
        "trainer.epochs": epochs, "trainer.workers": 1, "search.sampler": "random", "search.pruner": "none",
        "confirm.auto": False,
    }  # fmt: skip
    if pause_s:
        text = text.replace("x -= ", f"__import__('time').sleep({pause_s}); x -= ")
    names = {"TRIALS": str(trials), "EPOCHS": str(epochs), "SETTINGS": str(settings)}
    for name, value in names.items():
        text = text.replace(name, value)
    return (QUIET if "optuna" in text else "") + text


def write(folder: Path, text: str, script: str, trials: int, epochs: int, **more: float) -> None:
    """A driver and the script that it runs."""
    (folder / "driver.py").write_text(program(text, trials, epochs, **more))
    (folder / "script.py").write_text(program(script, trials, epochs, **more))


def environment() -> dict[str, str]:
    """This process's, with what it finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def spent(folder: Path, *command: str) -> tuple[float, float]:
    """The seconds that a process takes, and those of the processor, with its own processes."""
    begun = time.perf_counter()
    with (folder / "told").open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment(), stdout=told, stderr=told
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((folder / "told").read_text())
    return wall_s, usage.ru_utime + usage.ru_stime


def overhead_ms(text: str, script: str, trials: int, epochs: int) -> tuple[float, float]:
    """What a study adds to a trial's epoch: wall time, and time of the processor."""
    few = max(1, trials // 5)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in (trials, few)]
        for folder, number in zip(folders, (trials, few), strict=True):
            folder.mkdir()
            write(folder, text, script, number, epochs)
        more, less = (spent(folder, "driver.py") for folder in folders)
        alone = [spent(folders[0], "script.py", "0.1") for _ in range(3)] if script != text else [(0.0, 0.0)]
    each = [statistics.median(times) for times in zip(*alone, strict=True)]
    wall_ms, cpu_ms = (
        1e3 * ((a - b) / (trials - few) - c) / epochs for a, b, c in zip(more, less, each, strict=True)
    )
    return wall_ms, cpu_ms


def unended(folder: Path) -> int:
    """How many trials in Optuna's tables, which both sides write, have begun and are in no final state."""
    path = next(iter([*folder.glob("optuna.db"), *folder.glob("tuner.db")]))
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT count(*) FROM trials WHERE state IN ('RUNNING', 'WAITING')")
        return int(found.fetchone()[0])


def killed(text: str, script: str, trials: int, epochs: int, kills: int) -> tuple[int, int]:
    """Trials that are never ended, and epochs that are trained twice, of a study that is killed so often."""
    lots = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = "open('epochs', 'a').write('.'); x -= "
        write(
            folder, text.replace("x -= ", count), script.replace("x -= ", count), trials, epochs, pause_s=0.01
        )
        driver = [sys.executable, "driver.py"]
        for _ in range(kills):
            trained = folder / "epochs"
            before = trained.stat().st_size if trained.exists() else 0
            process = subprocess.Popen(
                driver, cwd=name, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            aim = before + lots.randrange(epochs // 2, trials * epochs // (2 * kills))
            while process.poll() is None and (not trained.exists() or trained.stat().st_size < aim):
                time.sleep(0.002)
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(driver, cwd=name, check=True, capture_output=True, env=environment())
        return unended(folder), (folder / "epochs").stat().st_size - trials * epochs


Told = list[tuple[float, float]]
"""When each epoch was over, in seconds of the clock, and its validation loss."""

_TELL = """\
import os, time
TOLD = lambda value: open(os.environ["TOLD"], "a").write(f"{time.time()} {value}\\n")
"""


DEFAULT = {"rate": 0.01, "width": 32, "decay": 1e-4}
"""What tuner begins with, and so its peer."""


def configuration(lots: random.Random) -> dict[str, float]:
    """One of the space that the scripts of frameworks have."""
    rate, width, decay = lots.uniform(-4, 0), round(2 ** lots.uniform(2, 7)), lots.uniform(-6, -1)
    return {"rate": 10**rate, "width": width, "decay": 10**decay}


_LISTED = """\
class Listed(optuna.samplers.RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        return LIST[trial.number % len(LIST)][name]


"""


class Framework:
    """One of the three scripts of a framework in a folder of its own."""

    def __init__(self, text: str, folder: Path, trials: int, epochs: int, race: int | None = None) -> None:
        races = race is not None
        lots = random.Random(race)
        first = [configuration(lots) for _ in range(trials - 1)] if races else []
        settings = {
            "trainer.epochs": epochs, "trainer.workers": 2 if races else 1, "confirm.auto": False,
            "search.sampler": "random", "search.pruner": "asha" if races else "none",
        }  # fmt: skip
        halving = "optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)"
        names = {
            "TRIALS": str(trials), "EPOCHS": str(epochs), "SETTINGS": str(settings),
            "FIRST": str(first), "SAMPLER": "Listed()" if races else "optuna.samplers.RandomSampler()",
            "PRUNER": halving if races else "optuna.pruners.NopPruner()",
        }  # fmt: skip
        # Two processes of Optuna's share a study, tuner has its own.
        self.drivers = 2 if races and "optuna" in text else 1
        # Trials that are enqueued cannot be listed for two processes: both may take the same one.
        peer = QUIET + (_LISTED + f"LIST = {[DEFAULT, *first]}\n" if races else "")
        text, driver = _TELL + (peer if "optuna" in text else "") + text, DRIVER
        for name, value in names.items():
            text, driver = text.replace(name, value), driver.replace(name, value)
        folder.mkdir()
        is_ours = "tuner.integrations" in text
        (folder / ("train.py" if is_ours else "driver.py")).write_text(text)
        if is_ours:
            (folder / "driver.py").write_text(driver)
        self.folder, self.told_in, self.begun = folder, folder / "told", list[float]()

    def told(self) -> Told:
        """What its epochs have told, in the order of time."""
        lines = self.told_in.read_text().splitlines() if self.told_in.exists() else []
        return sorted((float(line.split()[0]), float(line.split()[1])) for line in lines if " " in line)

    def run(self, kill_at: int | None = None) -> float:
        """Run it to its end, or until so many epochs were told; the moment at which it began."""
        own = environment() | {"TOLD": str(self.told_in)}
        with (self.folder / "log").open("ab") as log:
            if self.drivers > 1:  # two that make the database at the same instant would fail
                code = "import optuna; optuna.create_study(storage='sqlite:///optuna.db', study_name='s')"
                subprocess.run([sys.executable, "-c", code], cwd=self.folder, stderr=log, check=True)
            begun = time.time()
            self.begun.append(begun)
            processes = [
                subprocess.Popen(
                    [sys.executable, "driver.py"], cwd=self.folder, stdout=log, stderr=log, env=own
                )
                for _ in range(self.drivers)
            ]
        if kill_at is not None:
            while processes[0].poll() is None and len(self.told()) < kill_at:
                time.sleep(0.005)
            processes[0].kill()
        codes = [process.wait() for process in processes]
        if any(codes) and kill_at is None:
            raise RuntimeError((self.folder / "log").read_text()[-3000:])
        return begun

    def epoch_ms(self) -> float:
        """What an epoch takes, from the end of one to that of the next one in the same process."""
        ends = [moment for moment, _ in self.told()]
        between = [
            after - before
            for before, after in pairwise(ends)
            if not any(before < begun < after for begun in self.begun)
        ]
        return 1e3 * statistics.fmean(between)


def raced(mine: str, peers: str, folder: Path, trials: int, epochs: int, race: int) -> tuple[float, float]:
    """The seconds in which each side reaches what the worse one reaches."""
    found: list[Told] = []
    for name, text in (("mine", mine), ("peers", peers)):
        side = Framework(text, folder / name, trials, epochs, race)
        begun = side.run()
        found.append([(moment - begun, value) for moment, value in side.told()])
    target = max(min(value for _, value in told) for told in found)
    first = [min(second for second, value in told if value <= target) for told in found]
    return first[0], first[1]


def frameworks(options: argparse.Namespace, trials: int, epochs: int, kills: int, races: int) -> None:
    """Print the table of frameworks."""
    lots = random.Random(0)
    for name, texts in SCRIPTS.items():
        if options.only not in name:
            continue
        missing = [each for each in (name.lower(), "optuna_integration") if find_spec(each) is None]
        if missing:
            print(f"| {name} is not measured: {', '.join(missing)} is not installed |", flush=True)
            continue
        times = []
        with tempfile.TemporaryDirectory() as place:
            alone = Framework(texts[0], Path(place) / "plain", trials, epochs)
            alone.run()
            plain_ms = alone.epoch_ms()
            for race in range(races):
                folder = Path(place) / f"race {race}"
                folder.mkdir()
                times.append(raced(texts[1], texts[2], folder, 3 * trials, epochs, race))
            for place_of, label in enumerate(("tuner", "Optuna"), start=1):
                text, lost, twice, paces = texts[place_of], 0, 0, []
                for kill in range(max(1, kills)):
                    side = Framework(text, Path(place) / f"{label} {kill}", trials, epochs)
                    if kills:
                        side.run(kill_at=lots.randrange(epochs // 2, (trials - 1) * epochs))
                    side.run()
                    lost += unended(side.folder)
                    twice += max(0, len(side.told()) - trials * epochs)
                    paces.append(side.epoch_ms())
                more_ms = statistics.median(paces) - plain_ms
                reached = ", ".join(f"{race[place_of - 1]:.1f}" for race in times) or "–"
                lines = str(changed(texts[0], text)) + f" + {len(DRIVER.splitlines())}" * (label == "tuner")
                print(
                    f"| {name}: {label} | {lines} | {plain_ms:.1f} | {more_ms:.1f} | "
                    f"{lost} of {kills} | {twice} | {reached} |",
                    flush=True,
                )


SIDES: dict[str, tuple[str, str, str, str]] = {
    "a function: tuner": (FUNCTION, FUNCTION_TUNER, FUNCTION_TUNER, FUNCTION_TUNER),
    "a function: Optuna": (FUNCTION, FUNCTION_OPTUNA, FUNCTION_OPTUNA, FUNCTION_OPTUNA),
    "a command that prints: tuner": (SCRIPT, SCRIPT, COMMAND_TUNER, SCRIPT),
    "a command that reports: tuner": (SCRIPT, SCRIPT_REPORTS, COMMAND_TUNER, SCRIPT_REPORTS),
    "a command that prints: Optuna": (SCRIPT, COMMAND_OPTUNA, COMMAND_OPTUNA, SCRIPT),
}
"""The script without a tuner, what it becomes, the driver, and the command's script (or the driver)."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--kill-trials", type=int, default=10)
    parser.add_argument("--kill-epochs", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", default="", help="sides whose name has this in it")
    parser.add_argument("--smoke", action="store_true", help="does it run at all")
    parser.add_argument("--races", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    options = parser.parse_args()
    trials, epochs, kills, pairs = options.trials, options.epochs, options.kills, options.pairs
    races = options.races
    if options.smoke:
        trials, epochs, kills, pairs, races = 5, 3, 0, 1, 0
    if options.quick:
        trials, epochs, kills, pairs, races = 3, 9, 1, 1, 1
    print(f"{machine()}\n")
    sides = {name: side for name, side in SIDES.items() if options.only in name}
    print("| | lines | ms per trial-epoch | of the processor | trials lost | epochs trained twice |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    for name, (plain, own, text, script) in sides.items():
        costs = [overhead_ms(text, script, trials, epochs) for _ in range(pairs)]
        wall_ms, cpu_ms = (statistics.median(times) for times in zip(*costs, strict=True))
        lost, twice = (
            killed(text, script, options.kill_trials, options.kill_epochs, kills) if kills else (0, 0)
        )
        lines = changed(plain, own)
        print(f"| {name} | {lines} | {wall_ms:.2f} | {cpu_ms:.2f} | {lost} | {twice} |", flush=True)
    if any(options.only in name for name in SCRIPTS):
        print(
            "\n| | lines | ms of a plain epoch | ms more | trials lost, of kills | epochs trained twice |",
            end="",
        )
        print(f" s to the same value, each race |\n|---|{'--:|' * 6}", flush=True)
        frameworks(options, trials, epochs, kills, races)


if __name__ == "__main__":
    main()
