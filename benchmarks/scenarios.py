"""Studies to be run in peace or not, each in a folder and a process of its own, and what they leave.

What is done to them there is not known here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, text

import tuner
from tuner.api.compressing import compression
from tuner.api.stored import summaries
from tuner.core.budget import StudyState
from tuner.core.trial import Reading, TrialRecord
from tuner.store import Database
from tuner.store.connect import parse

FUNCTION = """
import time
import numpy as np

def train(params, context):
    weights = np.zeros(3)
    if KEEPS and (state := context.resume()):
        weights[:] = state["weights"]
    while True:
        weights[0] += params["x"] * (1 + 0.1 * np.random.normal())
        weights[1] += abs(params["x"] - 0.3)
        weights[2] += 1
        context.keep({"weights": weights})
        time.sleep(0.005)
        report = {"train_loss": float(weights[1]), "val_loss": float(weights[0] + 1 / weights[2])}
        yield {**report, "state": {"weights": weights}} if KEEPS else report

def group(params, context):
    import torch
    weights = torch.zeros(3)
    if state := context.resume():
        weights = state["weights"]
    else:
        torch.manual_seed(context.seed % 2**31 + context.rank)
    context.keep({"weights": weights})
    while True:
        weights[0] += params["x"] * (1 + 0.1 * torch.randn(()))
        weights[1] += abs(params["x"] - 0.3)
        weights[2] += 1
        shared = context.mean(weights)
        time.sleep(0.005)
        report = {"train_loss": shared[1], "val_loss": shared[0] + 1 / shared[2]}
        yield {**report, "state": {"weights": weights}}

def reports(params, context):
    file = context.folder / "state.npy"
    weights = np.load(file) if context.resume() else np.zeros(2)
    while True:
        weights += params["x"] * (1 + 0.1 * np.random.normal()), 1
        np.save(file, weights)
        time.sleep(0.005)
        loss = float(weights[0] + 1 / weights[1])
        context.report(train_loss=loss, val_loss=loss, state=context.folder, model=file)
"""

COMMAND = """
import json, os, random, time
from pathlib import Path
import tuner

p, folder = tuner.params(x=0.5), Path(os.environ["TUNER_CHECKPOINT"])
random.seed(int(os.environ["TUNER_SEED"]))
file = folder / "state.json"
place, steps = 0.0, 0
if file.exists():
    place, steps, (version, words, rest) = json.loads(file.read_text())
    random.setstate((version, tuple(words), rest))
while True:
    place += p["x"] * (1 + 0.1 * random.gauss(0, 1))
    steps += 1
    file.write_text(json.dumps([place, steps, random.getstate()]))
    time.sleep(0.005)
    files = {"state": folder, "model": file} if KEEPS else {}
    tuner.report(train_loss=steps * abs(p["x"] - 0.3), val_loss=place + 1 / steps, **files)
"""

_FUNCTION_STUDY = {
    "trainer": {"use": "./function.py:train", "epochs": 9},
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9}},
}
_COMMAND_STUDY = {
    "trainer": {"command": "python train.py", "epochs": 9},
    "space": _FUNCTION_STUDY["space"],
}
NETWORK = """
from torch import nn

def build(params, context):
    width = params["width"]
    norm = [nn.BatchNorm1d(width)] if params["batch_norm"] else []
    first, last = nn.Linear(context.input_shape[0], width), nn.Linear(width, context.outputs)
    return nn.Sequential(first, *norm, nn.ReLU(), nn.Dropout(0.1), last)
"""

_NETWORK_STUDY = {
    "data": {"source": "sklearn:digits"},
    "trainer": {"model": "./network.py:build"},
    "space": {
        "use": ["optimization", "batch"],
        "width": {"type": "choice", "choices": [16, 32], "default": 16},
        "batch_norm": {"type": "choice", "choices": [True, False], "default": True},
    },
}
EXAMPLES = Path(__file__).parent.parent / "examples"

_RATE = {"type": "float", "low": 1e-4, "high": 0.1, "default": 0.001, "log": True}
_HIDDEN = {"type": "int", "low": 4, "high": 16, "default": 8}
_WIDTHS = {"type": "choice", "choices": [8, 16], "default": 8}
_SETS = {"digits": {"source": "sklearn:digits"}, "cancer": {"source": "sklearn:breast_cancer"}, "": None}


def _example(package: str, data: str, **space: Mapping[str, Any]) -> dict[str, Any]:
    """The study of one of the examples for frameworks."""
    function = "fit" if package == "keras" else "train"
    table = {"trainer": {"use": f"{EXAMPLES}/with_{package}.py:{function}", "epochs": 5}, "space": space}
    return table if _SETS[data] is None else {**table, "data": _SETS[data]}


_FRAMEWORKS = {
    "lightning": _example("lightning", "digits", hidden=_HIDDEN, rate=_RATE),
    "keras": _example(
        "keras", "digits", units=_HIDDEN, rate=_RATE, layers={"type": "choice", "choices": [1, 2]}
    ),
    "transformers": _example("transformers", "", learning_rate=_RATE, width=_WIDTHS),
    "skorch": _example("skorch", "digits", hidden=_HIDDEN, rate=_RATE),
    "xgboost": _example("xgboost", "cancer", eta=_RATE, max_depth=_HIDDEN),
    "lightgbm": _example("lightgbm", "cancer", learning_rate=_RATE, num_leaves=_HIDDEN),
}

COMPRESSION = "compression"
"""The study that makes a model smaller which another study in the same folder has kept."""

_ORDERED = {"trainer.executor": "processes", "trainer.workers": 2, "trainer.reproducible": True}


@dataclass(frozen=True)
class Scenario:
    """A study, and the moments at which it is killed."""

    name: str
    study: str
    trials: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    aims: tuple[str, ...] = ("any", "commit", "checkpoint")


SCENARIOS = (
    Scenario("mlp fused, tpe, asha", "digits", 60, {"trainer.epochs": 9}),
    Scenario(
        "mlp fused, cmaes, median",
        "digits",
        24,
        {"trainer.epochs": 6, "search.sampler": "cmaes", "search.pruner": "median"},
    ),
    Scenario(
        "mlp fused, folds and repeats, asha",
        "digits",
        12,
        {"trainer.epochs": 4, "data.folds": 3, "trainer.repeats": 2},
    ),
    Scenario(
        "mlp fused, reshuffled, tpe, asha-stop",
        "digits",
        24,
        {"trainer.epochs": 6, "data.reshuffle": True, "search.pruner": "asha-stop"},
    ),
    Scenario(
        "compression: pruned, taught, in 8-bit integers, tpe",
        COMPRESSION,
        16,
        # Latencies are never the same twice.
        {"trainer.epochs": 6, "objective.also": {"size_bytes[onnx]": "minimize"}, "confirm.auto": False},
    ),
    Scenario(
        "mlp one at a time, two workers in order, asha",
        "digits",
        24,
        {"trainer.epochs": 6, "trainer.rows": 1, **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a network of one's own with batch normalization or not, stacked, asha",
        "network",
        24,
        {"trainer.epochs": 6, "trainer.rows": 8, "trainer.workers": 1},
    ),
    Scenario(
        "scikit-learn, two workers in order, hyperband",
        "digits_sklearn",
        16,
        {"trainer.epochs": 6, "search.pruner": "hyperband", **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a function that keeps a state, random",
        "function",
        30,
        {"search.sampler": "random", "trainer.workers": 1},
        ("any", "commit", "checkpoint"),
    ),
    Scenario(
        "a function that keeps a state, two workers in order, asha",
        "function",
        24,
        {"search.pruner": "asha", **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a function on two processes for each trial that keeps a state, two seeds, asha",
        "group",
        10,
        {"search.pruner": "asha", "trainer.world_size": 2, "trainer.workers": 1, "trainer.repeats": 2},
        ("any", "commit", "worker", "rank"),
    ),
    Scenario(
        "a function that keeps none, asha-stop",
        "function",
        30,
        {"search.pruner": "asha-stop", "trainer.workers": 1},
        ("any", "commit"),
    ),
    Scenario(
        "a function that reports and has its state in a folder, two workers in order, asha",
        "reports",
        16,
        {"search.pruner": "asha", **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a command that keeps a state, two workers in order, asha",
        "command",
        16,
        {"search.pruner": "asha", **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a command that keeps none, random",
        "command",
        12,
        {"search.sampler": "random", "trainer.workers": 1},
        ("any", "commit"),
    ),
    *(
        Scenario(
            f"the example of {package}, whose state is kept, asha",
            package,
            6,
            {"search.pruner": "asha", "trainer.workers": 1},
        )
        for package in ("lightning", "keras", "transformers", "skorch")
    ),
    *(
        Scenario(
            f"the example of {package}, which keeps none, asha-stop",
            package,
            12,
            {"search.pruner": "asha-stop", "trainer.workers": 1},
            ("any", "commit"),
        )
        for package in ("xgboost", "lightgbm")
    ),
)


_ON_RAY = (
    "tpe, asha",
    "folds",
    "keeps a state, two workers",
    "on two processes",
    "a command that keeps a state",
)
CLUSTERED = tuple(
    replace(
        each,
        settings={"trainer.rows": 8, **_ORDERED, **each.settings}
        if "fused" in each.name
        else {**each.settings, "trainer.reproducible": True},
        aims=("any", "commit", "worker", "actor", "node", *(("rank",) if "processes" in each.name else ())),
    )
    for each in SCENARIOS
    if any(words in each.name for words in _ON_RAY) and "reshuffled" not in each.name
)
"""Those that are run on a Ray cluster, too, and must come out the same there."""

Table = dict[int, tuple[TrialRecord, list[Reading]]]


SERVER: str | None = None
"""The URL of a PostgreSQL server on which each subject gets a database of its own; None: an SQLite file."""


def database_of(server: str) -> str:
    """The URL of a new database on a server."""
    url = parse(server)
    name = f"tuner_{uuid4().hex[:12]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


class Subject:
    """A scenario in a folder of its own, or beside another one's database."""

    def __init__(self, scenario: Scenario, folder: Path, database: str = "tuner.db") -> None:
        self.scenario = scenario
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.database = folder / database
        self.url = f"sqlite:///{self.database}" if SERVER is None else database_of(SERVER)
        if scenario.study in _FRAMEWORKS:  # once, and not in each process that is killed
            os.environ.setdefault("KERAS_BACKEND", "torch")
            import_module(scenario.study)
        if scenario.study == COMPRESSION and not (folder / "teacher.db").exists():
            os.waitpid(forked(self._teach, folder / "log"), 0)
        (folder / "network.py").write_text(NETWORK)
        keeps = str("keeps a state" in scenario.name)
        (folder / "function.py").write_text(FUNCTION.replace("KEEPS", keeps))
        (folder / "train.py").write_text(COMMAND.replace("KEEPS", keeps))

    def drive(self, *, checkpoint_seconds: float = 0.05) -> bool:
        """Start the study, or go on with it; whether there was anything to do."""
        os.chdir(self.folder)
        known = summaries(storage=self.url) if self.exists() else []
        if known:
            # It may have been killed when all was done.
            if known[0].state is StudyState.FINISHED:
                return False
            tuner.resume(storage=self.url)
            return True
        own: Mapping[str, Any] = {
            "function": _FUNCTION_STUDY,
            "network": _NETWORK_STUDY,
            "group": {**_FUNCTION_STUDY, "trainer": {"use": "./function.py:group", "epochs": 9}},
            "reports": {**_FUNCTION_STUDY, "trainer": {"use": "./function.py:reports", "epochs": 9}},
            "command": _COMMAND_STUDY,
            **_FRAMEWORKS,
        }
        if self.scenario.study == COMPRESSION:
            teacher = tuner.load("teacher", storage=f"sqlite:///{self.folder / 'teacher.db'}")
            own = {COMPRESSION: compression(teacher, "chaos", {}, {})}
        tuner.start(
            own.get(self.scenario.study, self.scenario.study),
            name="chaos",
            storage=self.url,
            trials=self.scenario.trials,
            settings={**self.scenario.settings, "trainer.checkpoint_seconds": checkpoint_seconds},
        )
        return True

    def _teach(self) -> None:
        os.chdir(self.folder)
        own = {"trainer.epochs": 3}
        tuner.start("digits", name="teacher", storage="sqlite:///teacher.db", trials=1, settings=own)

    def exists(self) -> bool:
        """Whether the database is there."""
        return SERVER is not None or self.database.exists()

    def leftovers(self) -> int:
        """How many checkpoints lie there, and models that no record names."""
        lying = {str(path) for path in (self.folder / "tuner_models").glob("chaos-*/[0-9]*")}
        named = {record.model_path for record, _ in self.all()}
        return len(list((self.folder / "tuner_models").glob("chaos-*/checkpoints/*"))) + len(lying - named)

    def missing(self) -> int:
        """How many models are named by records and are not there, whole."""
        paths = [Path(record.model_path) for record, _ in self.all() if record.model_path]
        return sum(not (path / "model.json").is_file() for path in paths)

    def all(self) -> list[tuple[TrialRecord, list[Reading]]]:
        """Its trials, and those of its confirmation."""
        return [*self.table().values(), *self.table("chaos~confirm").values()]

    @property
    def layout(self) -> dict[str, Any]:
        """What was decided by measuring, which another run may decide otherwise."""
        facts = tuner.load("chaos", storage=self.url).summary.facts
        return {f"trainer.{name}": facts[name] for name in ("rows", "workers", "threads")}

    def table(self, name: str = "chaos") -> Table:
        """Everything that is stored of the study."""
        if not self.exists() or not summaries(storage=self.url):
            return {}
        with contextlib.closing(Database.open(self.url)) as database:
            if name not in {each.name for each in database.studies()}:
                return {}
            records, curves = database.records(name), database.curves(name)
        return {record.number: (record, curves.get(record.number, [])) for record in records}


def forked(work: Callable[[], object], log: Path) -> int:
    """Run something in a process of its own, in a session of its own; its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)


def told(record: TrialRecord, curve: list[Reading]) -> str:
    """What must be the same however often a study was interrupted."""
    known = (record.number, dict(record.params), record.state, record.value, record.epochs)
    decided = (record.conclusive, record.rule, record.reason)
    return repr((known, decided, [astuple(replace(reading, seconds=0.0)) for reading in curve]))


def different(found: Table, whole: Table) -> int:
    """How many trials are not the same."""
    return sum(
        number not in found or number not in whole or told(*found[number]) != told(*whole[number])
        for number in {*found, *whole}
    )


def peace(scenario: Scenario, folder: Path) -> tuple[Scenario, Table, float]:
    """The study as it is when nobody kills it, and how long that takes.

    It is run twice: the first run measures and compiles, the second is timed and must repeat the first.

    Returns:
        The scenario with the layout that was measured, all that was stored, and seconds.
    """
    first = whole(Subject(scenario, folder / "first"))
    scenario = replace(scenario, settings={**scenario.settings, **first.layout})
    begin = time.monotonic()
    second = whole(Subject(scenario, folder / "second"))
    seconds = time.monotonic() - begin
    if different(second.table(), first.table()):
        raise RuntimeError(f"{scenario.name}: it does not repeat itself, even if nobody kills it")
    return scenario, second.table(), seconds


def elsewhere(scenario: Scenario, folder: Path) -> tuple[Scenario, Table, float]:
    """The same on a Ray cluster: with so many deaths as it takes, what was stored in peace, and seconds."""
    settings = {**scenario.settings, "trainer.executor": "ray", "trainer.restarts": 99}
    scenario = replace(scenario, settings=settings)
    begin = time.monotonic()
    table = whole(Subject(scenario, folder)).table()
    return scenario, table, time.monotonic() - begin


def whole(subject: Subject) -> Subject:
    """Run a study to its end."""
    pid = forked(subject.drive, subject.folder / "log")
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError((subject.folder / "log").read_text()[-3000:])
    return subject
