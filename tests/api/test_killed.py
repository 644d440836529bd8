"""Studies that are killed end as if they never were; trials that ruin their worker end alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tuner
from tests import processes
from tuner.core.budget import StudyState
from tuner.core.trial import TrialState

pytestmark = pytest.mark.usefixtures("forked_workers")

ROOT = Path(__file__).parents[2]

FUNCTION = """
import os, resource, signal

def train(params, context):
    for epoch in range(context.epochs):
        if context.number in (2, 5) and epoch == 1:
            misfortune(context.number)
        yield 1 / (1 + epoch) + abs(params["x"] - 0.3)

def misfortune(number):
    match {does!r}:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "limit":
            limits = resource.getrlimit(resource.RLIMIT_AS)
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, limits[1]))
            try:
                bytearray(2**30)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, limits)
"""

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9}}


def environment() -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"}
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**known, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "trials"),
    [
        ("mlp fused, tpe, asha", "12"),
        ("function that keeps a state, two workers", "6"),
    ],
)
def test_a_study_that_is_killed_at_random_ends_as_if_it_never_was(study: str, trials: str) -> None:
    command = ["-m", "benchmarks.chaos", "--kills", "2", "--only", study, "--trials", trials]
    done = processes.run(*command, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 things lost, different or left over" in done.stdout


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("segfault", "was killed by SIGSEGV"),
        ("exit", "ended with exit code 3"),
        ("limit", "MemoryError"),
    ],
)
def test_a_trial_that_ruins_its_worker_ends_alone(tmp_path: Path, does: str, reason: str) -> None:
    (tmp_path / "function.py").write_text(FUNCTION.replace("{does!r}", repr(does)))
    found = tuner.start(
        {"trainer": {"use": "./function.py:train", "epochs": 3}, "space": SPACE},
        name="ruined",
        trials=8,
        settings={
            "trainer.executor": "processes",
            "trainer.workers": 2,
            "trainer.restarts": 0,
            "search.sampler": "random",
            "search.pruner": "none",
        },
    )
    assert found.summary.state is StudyState.FINISHED
    states = {record.number: record.state for record in found.records}
    assert states == {n: TrialState.FAILED if n in (2, 5) else TrialState.FINISHED for n in range(8)}
    for number in (2, 5):
        record = found.records[number]
        assert record.reason is not None
        assert reason in record.reason
        assert record.traceback is not None
        assert record.epochs == 1


def test_trials_that_ruin_their_workers_end_the_study_when_they_are_too_many(tmp_path: Path) -> None:
    (tmp_path / "function.py").write_text("import os\ndef train(params, context):\n    os._exit(3)\n")
    with pytest.raises(tuner.TrialError, match="no trial has a value"):
        _ = tuner.start(
            {"trainer": {"use": "./function.py:train"}, "space": SPACE},
            name="ruined",
            trials=50,
            settings={
                "trainer.executor": "processes",
                "trainer.workers": 1,
                "trainer.restarts": 0,
                "stop.max_failures": 3,
            },
        ).best
    found = tuner.load("ruined")
    assert found.summary.state is StudyState.FAILED
    assert len(found.records) == 3
    assert "3 trials failed; the last: trial 2: its worker died because it" in (found.summary.reason or "")


MEMORY = """
import sys
from pathlib import Path
import tuner

def train(params, context):
    yield params["x"]
    yield params["x"] / 2

def resident():
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024

class Watch:
    sizes = {}
    def begin(self, spec, notes):
        pass
    def turn(self, status):
        for mark in (1500, 3000):
            if status.spent.trials >= mark:
                self.sizes.setdefault(mark, resident())

watch = Watch()
settings = {"search.sampler": "random", "trainer.epochs": 2}
tuner.start(
    trainer=train, space={"x": tuner.Float(low=0, high=1, default=0.9)}, trials=3000, settings=settings,
    observer=watch,
)
print((watch.sizes[3000] - watch.sizes[1500]) // 1500)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is not told here")
def test_memory_grows_by_less_than_a_page_per_trial(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A record of it stays, for the sampler and the rules; its curve, its model and its rows do not.
    assert int(done.stdout.split()[-1]) < 4096
