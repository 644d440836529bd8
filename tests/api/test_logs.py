"""What a trial prints is kept with it, whether one worker trains or several."""

# ruff: noqa: T201

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tuner
from tuner.artifacts import Artifacts
from tuner.store import Database, verify

pytestmark = pytest.mark.usefixtures("forked_workers")

SPACE = {"x": tuner.Float(0, 1)}
URL = "sqlite:///tuner.db"


def talks(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    import subprocess
    import warnings

    print(f"begin {context.number}")
    for epoch in range(3):
        print(f"epoch {epoch} of {context.number}", file=sys.stderr)
        logging.getLogger("mine").warning("logged by %d", context.number)
        yield params["x"]
    warnings.warn(f"warned by {context.number}", UserWarning, stacklevel=1)
    subprocess.run(["echo", f"child of {context.number}"], check=True)
    if context.number == 2:
        raise RuntimeError("it has failed")


def started(workers: int, trials: int = 4, **settings: Any) -> tuner.Study:
    return tuner.start(
        trainer=talks,
        space=SPACE,
        name="s",
        trials=trials,
        workers=workers,
        settings={"search.pruner": "none", **settings},
    )


@pytest.mark.filterwarnings("ignore:warned by")
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_trial_prints_and_logs_is_its_own(workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    study = started(workers)
    assert str(study.trial(2).record.state) == "failed"
    for number in range(4):
        log = study.trial(number).log
        for words in ("begin", "epoch 0 of", "epoch 2 of"):
            assert f"{words} {number}\n" in f"{log}\n", log
        assert log.count(f"WARNING mine: logged by {number}") == 3
        assert not any(f"begin {other}" in log for other in range(4) if other != number)
        if workers == 2:  # a child writes to the process's own descriptors
            assert f"child of {number}" in log
            assert f"warned by {number}" in log
    assert "begin" not in capfd.readouterr().out
    assert verify(URL).is_sound
    tuner.delete("s")
    with Database.open(URL) as database:
        assert database.names() == set()


def quiet(params: Mapping[str, Any], context: Any) -> float:
    return float(params["x"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_prints_nothing_leaves_no_file(workers: int) -> None:
    study = tuner.start(trainer=quiet, space=SPACE, name="s", trials=4, workers=workers)
    assert [study.trial(number).log for number in range(4)] == [""] * 4
    assert not list((study.files.folder / "logs").glob("*"))


def floods(params: Mapping[str, Any], context: Any) -> float:
    print("the first line")
    for line in range(60_000):
        print(f"line {line} of very many")
    return float(params["x"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_is_bounded_and_keeps_its_beginning_and_its_end(workers: int) -> None:
    study = tuner.start(trainer=floods, space=SPACE, name="s", trials=2, workers=workers)
    log = study.trial(1).log
    assert len(log) < 600_000
    assert log.startswith("the first line")
    assert log.endswith("line 59999 of very many")
    assert "bytes left out" in log


def test_what_is_trained_again_after_an_interruption_is_not_printed_twice(tmp_path: Any) -> None:
    def cut(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        for epoch in range(4):
            print(f"epoch {epoch}")
            if epoch == 2 and not marker.exists():
                marker.touch()
                raise KeyboardInterrupt
            yield params["x"]

    marker = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        tuner.start(trainer=cut, space=SPACE, name="s", trials=1)
    study = tuner.resume("s", trainer=cut)
    assert study.trial(0).log.splitlines() == ["epoch 0", "epoch 1", "epoch 2", "epoch 2", "epoch 3"]


def test_a_handler_that_a_trial_sets_up_does_not_double_its_lines() -> None:
    def sets_up(params: Mapping[str, Any], context: Any) -> float:
        log = logging.getLogger()
        handler = logging.StreamHandler()
        log.addHandler(handler)
        try:
            logging.getLogger("mine").warning("once")
        finally:
            log.removeHandler(handler)
        return float(params["x"])

    study = tuner.start(trainer=sets_up, space=SPACE, name="s", trials=2)
    assert study.trial(1).log.count("once") == 1


def test_a_log_is_shortened_in_its_middle(tmp_path: Any) -> None:
    import os

    files = Artifacts(tmp_path / "s", "0" * 32, "s", "db")
    descriptor = files.open_log(3)
    os.write(descriptor, b"head\n" + b"x" * 700_000 + b"\nend")
    files.shorten_log(3)
    os.write(descriptor, b" and more")
    text = files.log(3).read_text()
    assert text.startswith("head\nxxx")
    assert text.endswith("x\nend and more")
    assert len(text) < 300_000
    before = text
    files.shorten_log(3)
    assert files.log(3).read_text() == before
