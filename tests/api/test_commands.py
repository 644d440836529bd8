"""Studies whose trials are commands."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tuner
from tests import processes
from tests.trainers.command.scripts import PLAIN, STATEFUL
from tuner.core.trial import TrialState
from tuner.testing.trainer import same

pytestmark = pytest.mark.usefixtures("forked_workers")

SLOWLY = "print('.', end='', file=open('trained', 'a')); time.sleep(0.02)"
"""What a script does that is killed in the middle of an epoch."""

REPORTING = STATEFUL.replace("import json", "import time, json")
REPORTING = REPORTING.replace("        tuner.report(", f"        {SLOWLY}\n        tuner.report(")
PRINTING = PLAIN.replace("import os", "import time, os").replace("    print(f", f"    {SLOWLY}\n    print(f")
SPACE = {"rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def started(text: str, name: str, arguments: str = "", settings: Any = None) -> tuner.Study:
    Path("train.py").write_text(text)
    table = {"trainer": {"command": f"python train.py {arguments}", "epochs": 4}, "space": SPACE}
    keys = {"search.pruner": "none", "confirm.auto": False}
    return tuner.start(table, name=name, trials=3, settings=keys | (settings or {}))


@pytest.mark.parametrize(("text", "arguments"), [(PLAIN, "${rate}"), (STATEFUL, "")])
def test_a_command_comes_out_the_same_under_each_executor(text: str, arguments: str) -> None:
    one = started(text, "one", arguments, settings={"trainer.executor": "inline"})
    two = started(text, "two", arguments, settings={"trainer.executor": "processes", "trainer.workers": 2})
    assert [record.value for record in one.records] == [record.value for record in two.records]
    assert all(record.state is TrialState.FINISHED for record in (*one.records, *two.records))
    if text is PLAIN:
        assert all("a command says hello" in study.trial(1).log for study in (one, two))
        assert "epoch 3: train_loss" in two.trial(1).log
    else:
        model = two.trial(0).model()
        assert [path.name for path in model.iterdir()] == ["last.json"]


def test_a_pruner_pauses_a_command_with_state_and_its_trials_go_on() -> None:
    study = started(STATEFUL, "s", settings={"search.pruner": "asha", "trainer.workers": 1})
    whole = started(STATEFUL, "w", settings={"trainer.workers": 1})
    assert {record.state for record in study.records} == {TrialState.FINISHED, TrialState.STOPPED}
    for record in study.records:
        assert same(study.trial(record.number).curve, whole.trial(record.number).curve[: record.epochs])


def test_a_command_that_fails_is_told_with_its_last_lines() -> None:
    with pytest.raises(tuner.TrialError, match="exit code 1; its last line: no such layer"):
        started("import sys; print('step 1'); sys.exit('no such layer')", "f")
    record = tuner.load("f").records[0]
    assert record.reason == "the command ended with exit code 1; its last line: no such layer"
    assert "step 1" in str(record.traceback)


def test_a_fault_of_a_command_is_told_before_anything_runs() -> None:
    with pytest.raises(tuner.SpecError, match=r"trainer\.command: \$\{x\} is no setting of the space"):
        started(PLAIN, "x", "${x}")


FUNCTION = """
import random, time
import tuner

def train(params, context):
    file = context.folder / "state"
    place, steps = map(float, file.read_text().split()) if context.resume() else (params["rate"], 0)
    while True:
        place, steps = place * (1 - 0.1 * random.random()), steps + 1
        file.write_text(f"{place} {steps}")
        print(".", end="", file=open("trained", "a"))
        time.sleep(0.02)
        context.report(val_loss=place + abs(2 - steps), state=context.folder, model=file)
"""
DRIVER = """
import sys
import tuner
tuner.start(
    {"trainer": {TRAINER, "epochs": 6, "workers": 1, "checkpoint_seconds": 0.01}},
    space={"rate": tuner.Float(low=0.0, high=1.0, default=0.5)},
    name=sys.argv[1], trials=3, settings={"search.pruner": "none", "confirm.auto": False}, exists="resume",
)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "text"),
    [
        ('"use": "./loop.py:train"', FUNCTION),
        ('"command": "python loop.py"', REPORTING),
        ('"command": "python loop.py ${rate}"', PRINTING),
    ],
)
def test_a_study_that_is_killed_ends_as_if_it_never_was(trainer: str, text: str) -> None:
    Path("loop.py").write_text(text)
    Path("driver.py").write_text(DRIVER.replace("TRAINER", trainer))
    trained = Path("trained")
    with processes.start("driver.py", "killed", env=environment()) as process:
        while process.poll() is None and (not trained.exists() or trained.stat().st_size < 10):
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    for name in ("killed", "whole"):
        processes.run("driver.py", name, env=environment(), check=True)
    one, two = tuner.load("killed"), tuner.load("whole")
    assert [record.state for record in one.records] == [TrialState.FINISHED] * 3
    for record in one.records:
        assert same(one.trial(record.number).curve, two.trial(record.number).curve)
