"""Workers that import a loop of one's own while its study is planned, and the driver that does not."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

import tuner
from tests.servers import until
from tuner.errors import PluginError, SpecError

LOOP = """
import os
from pathlib import Path
with Path("imported").open("a") as file:
    file.write(f"{os.getpid()}\\n")
print("Using device: cpu")

def train(params, context):
    for epoch in range(context.epochs):
        yield {"val_loss": params["x"] + 1 / (epoch + 1)}

async def asynchronous(params, context):
    pass

class Trainer:
    def validate(self, spec, data):
        return () if data is None else [f"data: has {len(data.train)} rows"]

    def start(self, job, trial, snapshot=None):
        raise RuntimeError("no session")
"""
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


@pytest.fixture(autouse=True)
def _loop() -> None:
    Path("loop.py").write_text(LOOP)


def run(use: str = "./loop.py:train", workers: int | str = 2, **given: Any) -> tuner.Study:
    # Where it is to repeat itself a study begins when all its workers are ready.
    settings = {"trainer.epochs": 2, "trainer.workers": workers, "trainer.reproducible": True}
    return tuner.start(trainer=use, space=SPACE, name="s", trials=4, settings=settings, **given)


def imported() -> list[int]:
    return [int(line) for line in Path("imported").read_text().split()]


def test_each_worker_imports_the_loop_once_and_the_driver_does_not(capfd: pytest.CaptureFixture[str]) -> None:
    study = run(confirm=False)
    assert study.summary.counts["finished"] + study.summary.counts["stopped"] == 4
    assert len(imported()) == len(set(imported())) == 2
    assert os.getpid() not in imported()
    assert "Using device" not in capfd.readouterr().out
    tuner.resume("s", trials=6)
    tuner.confirm("s", top=1, repeats=3)
    assert len(imported()) == len(set(imported())) == 6
    assert os.getpid() not in imported()


def test_one_worker_is_the_driver() -> None:
    run(workers=1)
    assert imported() == [os.getpid()]


def test_workers_with_other_threads_than_expected_are_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.executors.standby.Standby.take", lambda *_: None)
    assert run().summary.counts["failed"] == 0
    # One of the first two may be ended before it has begun.
    assert len(imported()) in (3, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_at_all", r"loop\.py: cannot be run: ModuleNotFoundError: No module named 'nowhere"),
        ("import os; print('this is it', flush=True); os._exit(7)",
         r"train: the process that imports it ended with exit code 7; the last line of output: this is it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
         r"the process that imports it was killed by SIGKILL .*; it printed nothing"),
        ("def other(): pass", r"loop\.py has no 'train'; known: other"),
        ("train = 3", r"loop\.py:train: cannot train: found int"),
    ],
)  # fmt: skip
def test_a_loop_that_cannot_be_imported_is_told_as_in_the_driver(text: str, words: str) -> None:
    Path("loop.py").write_text(text)
    with pytest.raises(PluginError, match=words):
        run()
    assert tuner.studies().empty


def test_what_is_wrong_with_a_function_is_told_before_anything_is_stored() -> None:
    with pytest.raises(SpecError, match=r"trainer\.use: asynchronous: an async function; write def train"):
        run("./loop.py:asynchronous")
    assert tuner.studies().empty


def test_a_trainer_that_is_no_function_is_asked_in_the_driver_with_the_data() -> None:
    Path("table.csv").write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(100)))
    with pytest.raises(SpecError, match=r"data: has \d+ rows"):
        run("./loop.py:Trainer", data="table.csv", target="b")


def test_an_interrupted_plan_leaves_no_process_behind() -> None:
    Path("loop.py").write_text(LOOP + "\nimport time\nPath('began').touch()\ntime.sleep(60)\n")
    code = f"import tuner; tuner.start(trainer='./loop.py:train', space={SPACE}, name='s', workers=2)"
    with Popen([sys.executable, "-c", code], stderr=PIPE, text=True) as driver:
        until(lambda: Path("imported").exists() and len(imported()) == 2)
        driver.send_signal(signal.SIGINT)
        assert driver.stderr is not None
        assert "KeyboardInterrupt" in driver.stderr.read()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in imported()))
