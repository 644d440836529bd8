"""Real processes that want the same study at the same instant: exactly one gets it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tuner.core.spec import StudySpec
from tuner.store import Database, verify

WANTS = """
import sys, time
from tuner.core.spec import StudySpec
from tuner.errors import StudyExists, StudyLocked
from tuner.store import Database

url, how, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
x = {"type": "float", "low": 0, "high": 1, "default": 0.5}
print("ready", flush=True)
for round in range(rounds):
    moment = float(sys.stdin.readline())
    while time.time() < moment:
        pass
    name, store, told = f"s{round}", None, "got it"
    spec = StudySpec.parse({"name": name, "space": {"x": x}})
    try:
        with Database.open(url, create=how == "start") as database:
            if how == "start":
                store = database.create_study(name, spec, {})
            else:
                store = database.resume_study("s")
    except (StudyExists, StudyLocked) as error:
        told = f"{type(error).__name__}: {error}"
    print(told, flush=True)
    sys.stdin.readline()
    if store is not None:
        store.close()
    print("done", flush=True)
"""


@pytest.mark.parametrize(("how", "refused"), [("start", "StudyExists"), ("resume", "StudyLocked")])
def test_of_drivers_that_begin_at_the_same_instant_exactly_one_gets_the_study(
    tmp_path: Path, spec: StudySpec, how: str, refused: str
) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    if how == "resume":
        with Database.open(url, create=True) as database:
            database.create_study("s", spec, {}).close()
    drivers: list[Any] = [processes.start("-c", WANTS, url, how, "6", pipes=True) for _ in range(3)]
    try:

        def told() -> list[str]:
            return [driver.stdout.readline().strip() for driver in drivers]

        def tell(text: str) -> None:
            for driver in drivers:
                driver.stdin.write(f"{text}\n")
                driver.stdin.flush()

        assert told() == ["ready"] * 3
        for _ in range(6):
            tell(str(time.time() + 0.05))
            ends = told()
            assert Counter(end.partition(":")[0] for end in ends) == {"got it": 1, refused: 2}, ends
            tell("go on")
            told()
    finally:
        for driver in drivers:
            driver.kill()
            driver.communicate()
    assert verify(url).is_sound
