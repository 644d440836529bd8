"""Several devices that the workers of one study share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tuner
from tuner.api.planning import plan
from tuner.api.session import Session, assign_devices
from tuner.core.job import Resources
from tuner.errors import SpecError
from tuner.trainers.function import FunctionTrainer

SPACE = {"x": tuner.Float(low=0, high=1, default=0.5)}


def test_devices_are_dealt_in_turn() -> None:
    four = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
    assert [each.devices for each in assign_devices(four, 2, 2, 1)] == [four[:2], four[2:]]
    assert [each.device for each in assign_devices(four[:2], 1, 3, 1)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert assign_devices(("cpu",), 1, 2, 5) == [Resources(("cpu",), 5)] * 2


def test_a_study_names_its_devices_and_each_gets_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FunctionTrainer, "validate", lambda *_: ())
    planned = plan(
        None, trainer=lone, space=SPACE, settings={"trainer.device": "cuda:0, cuda:1, cuda:2, cuda:3"}
    )
    assert planned.spec.trainer.devices == ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
    made = Session.of(planned, "sqlite:///tuner.db", in_process=False)
    assert (made.layout.workers, made.kind) == (4, "processes")
    assert made.facts["device"] == "cuda:0, cuda:1, cuda:2, cuda:3"
    assert "runs: 4 workers on cuda:0, cuda:1, cuda:2, cuda:3, 1 thread each" in made.notes
    pairs = plan(
        None,
        trainer=lone,
        space=SPACE,
        settings={"trainer.device": "cuda:0,cuda:1,cuda:2,cuda:3", "trainer.devices_per_worker": 2},
    )
    assert Session.of(pairs, "sqlite:///tuner.db", in_process=False).layout.workers == 2


def test_devices_that_leave_some_over_are_refused() -> None:
    with pytest.raises(SpecError, match="devices_per_worker: 3 devices by 2 leave 1; name as many"):
        plan(
            None,
            trainer=lone,
            space=SPACE,
            settings={"trainer.device": "cuda:0,cuda:1,cuda:2", "trainer.devices_per_worker": 2},
        )


def test_each_device_that_is_not_there_is_told() -> None:
    with pytest.raises(SpecError) as caught:
        plan("digits", settings={"trainer.device": "cpu,cuda:97,tpu"})
    told = str(caught.value)
    assert "cuda:97" in told
    assert "unknown name 'tpu'" in told


def test_a_loop_is_told_its_devices_and_threads() -> None:
    study = tuner.start(trainer=lone, space=SPACE, trials=1, settings={"trainer.threads": 2})
    best = study.records[0].best
    assert best is not None
    assert best.extras["devices"] == 1.0
    assert best.extras["threads"] == 2.0


def lone(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    given = context.resources
    assert context.device == given.device
    yield {"val_loss": 1.0, "devices": float(len(given.devices)), "threads": float(given.threads)}
