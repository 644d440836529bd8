"""Several devices that the workers of one study share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import tuner
from tuner.api import planning
from tuner.api.layout import assign_devices, devices_each
from tuner.api.planning import PreparedStudy, plan
from tuner.api.session import Session
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


Gpus = Callable[[int], None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """Pretend so many GPUs."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    monkeypatch.setattr("tuner.trainers.device.shutil.which", lambda _: "nvidia-smi")
    monkeypatch.setattr("tuner.api.layout.cores", lambda: 16)
    pretend(2)
    return pretend


def decided(stored: Mapping[str, Any] | None = None, *, in_process: bool = False, **keys: Any) -> Session:
    """A study of single trials."""
    settings = {f"trainer.{key}": value for key, value in keys.items()}
    planned = plan(None, trainer="tests.api.test_resources:lone", space=SPACE, settings=settings)
    return Session.of(planned, "sqlite:///tuner.db", in_process=in_process, stored=stored)


def each(made: Session) -> list[tuple[str, ...]]:
    """The devices of each worker."""
    at, trainer = made.layout, made.planned.spec.trainer
    in_a_row = devices_each(trainer, made.devices, at.world_size)
    return [share.devices for share in assign_devices(made.devices, in_a_row, at.workers, 1)]


ONE, TWO = ("cuda:0",), ("cuda:1",)


@pytest.mark.parametrize(
    ("count", "keys", "workers"),
    [
        (0, {"workers": 3}, [("cpu",)] * 3),
        (1, {}, [("cuda",)]),
        (2, {}, [ONE, TWO]),
        (2, {"workers": 1}, [ONE]),
        (2, {"workers": 3}, [ONE, TWO, ONE]),
        (2, {"executor": "inline"}, [ONE]),
        (2, {"device": "cuda"}, [("cuda",)]),
        (2, {"device": "cuda:1"}, [TWO]),
        (2, {"resources": {"gpus": 1}}, [ONE, TWO]),
        (2, {"resources": {"gpus": 0.25}}, [ONE, TWO] * 4),
        (2, {"resources": {"gpus": 0.4}}, [ONE, TWO] * 2),
        (2, {"resources": {"gpus": 0.25, "cpus": 4}}, [ONE, TWO] * 2),
        (2, {"resources": {"cpus": 2}}, [ONE, TWO]),
        (4, {"resources": {"gpus": 2}}, [("cuda:0", "cuda:1"), ("cuda:2", "cuda:3")]),
        (2, {"resources": {"gpus": 4}}, [("cuda:0", "cuda:1")]),
        (2, {"world_size": 2}, [("cuda:0", "cuda:1")]),
        (4, {"world_size": 2}, [("cuda:0", "cuda:1"), ("cuda:2", "cuda:3")]),
        (3, {"world_size": 2}, [("cuda:0", "cuda:1")]),
        (1, {"world_size": 2}, [("cuda",)]),
    ],
)
def test_every_gpu_serves_a_study_without_being_told(
    gpus: Gpus, count: int, keys: Mapping[str, Any], workers: list[tuple[str, ...]]
) -> None:
    gpus(count)
    made = decided(**keys)
    assert each(made) == workers
    used = ", ".join(dict.fromkeys(name for devices in workers for name in devices))
    assert made.facts["device"] == used
    assert any(note.startswith("runs: ") and f" on {used}, " in note for note in made.notes)
    assert made.kind == ("processes" if len(workers) > 1 or "world_size" in keys else "inline")


def test_no_worker_is_started_that_has_no_trial(gpus: Gpus) -> None:
    gpus(4)
    planned = plan(None, trainer="tests.api.test_resources:lone", space=SPACE, settings={"budget.trials": 3})
    assert each(Session.of(planned, "sqlite:///tuner.db", in_process=False)) == [ONE, TWO, ("cuda:2",)]


@pytest.mark.usefixtures("gpus")
def test_a_function_from_a_notebook_trains_in_this_process_on_one_gpu() -> None:
    made = decided(in_process=True)
    assert (made.devices, made.kind) == (ONE, "inline")


@pytest.mark.parametrize(("keys", "parts"), [({}, 2), ({"resources": {"gpus": 0.25}}, 8), ({"rows": 5}, 2)])
@pytest.mark.usefixtures("gpus")
def test_each_gpu_has_a_worker_with_rows_of_its_own(
    monkeypatch: pytest.MonkeyPatch, keys: Mapping[str, Any], parts: int
) -> None:
    monkeypatch.setattr(PreparedStudy, "unfused", lambda *_: None)
    settings = {f"trainer.{key}": value for key, value in keys.items()}
    made = Session.of(plan("digits_cnn", settings=settings), "sqlite:///tuner.db", in_process=False)
    assert (made.layout.workers, made.layout.rows) == (parts, keys.get("rows", 8))
    assert each(made) == [ONE, TWO] * (parts // 2)
    assert made.notes[-1].startswith(f"trains: {made.layout.rows} rows x {parts} processes")


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.usefixtures("gpus")
def test_processes_of_a_trial_are_measured_on_all_gpus_and_use_them(
    monkeypatch: pytest.MonkeyPatch, size: int, device: str
) -> None:
    asked: list[Any] = []

    def measured(_: PreparedStudy, devices: tuple[str, ...], __: int) -> tuple[int, str]:
        asked.append(devices)
        return size, "told"

    monkeypatch.setattr("tuner.api.layout.world_size", measured)
    made = decided(world_size="auto", device=device)
    assert asked == [("cuda:0", "cuda:1")]
    assert each(made) == ([ONE, TWO] if size == 1 else [("cuda:0", "cuda:1")])


@pytest.mark.parametrize(
    ("before", "keys", "now", "workers"),
    [
        (2, {}, 2, 2),
        (2, {}, 4, 4),
        (4, {}, 2, 2),
        (2, {}, 1, 1),
        (1, {}, 2, 2),
        (2, {}, 0, 1),
        (2, {"workers": 1}, 2, 1),
        (2, {"resources": {"gpus": 0.5}}, 3, 6),
    ],
)
def test_a_study_that_goes_on_uses_the_gpus_that_are_there_now(
    gpus: Gpus, before: int, keys: Mapping[str, Any], now: int, workers: int
) -> None:
    gpus(before)
    stored = decided(threads=1, **keys).facts | {"measured": "kept"}
    gpus(now)
    if not now:
        keys = {**keys, "workers": 1}
    again = decided(stored, threads=1, **keys)
    assert again.layout.workers == workers
    assert len({devices[0] for devices in each(again)}) == min(workers, max(now, 1))
    # What was decided is kept where there are as many GPUs as before, and decided anew elsewhere.
    assert again.measured == ("kept" if before == now else None)


@pytest.mark.parametrize(
    ("count", "keys", "loops"),
    [
        (0, {}, 5),
        (1, {}, 1),
        (2, {}, 2),
        (2, {"device": "cuda"}, 1),
        (2, {"device": "cpu"}, 5),
        (2, {"device": "cuda:0, cuda:1, cuda:2, cuda:3", "devices_per_worker": 2}, 2),
        (2, {"workers": 3}, 3),
    ],
)
def test_as_many_loops_are_imported_ahead_as_will_train(
    monkeypatch: pytest.MonkeyPatch, gpus: Gpus, count: int, keys: Mapping[str, Any], loops: int
) -> None:
    gpus(count)
    for module in ("planning", "layout"):
        monkeypatch.setattr(f"tuner.api.{module}.cores", lambda: 5)
    monkeypatch.setattr(FunctionTrainer, "validate", lambda *_: ())
    made = decided(**keys)
    assert planning._loops(made.planned.spec) == loops == made.layout.workers


@pytest.mark.parametrize(
    ("given", "workers"),
    [
        ({"cpus": 3}, 5),
        ({"cpus": 99}, 1),
        ({"memory": "8 GiB"}, 4),
        ({"memory": "8 GiB", "cpus": 8}, 2),
        ({"memory": "99 GiB"}, 1),
        ({"gpus": 0.5}, 16),  # there is none
    ],
)
def test_resources_of_a_worker_say_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch, gpus: Gpus, given: Mapping[str, Any], workers: int
) -> None:
    gpus(0)
    monkeypatch.setattr("tuner.api.layout.memory", lambda: 33 * 2**30)
    made = decided(resources=given)
    assert made.layout.workers == workers
    assert made.layout.threads == given.get("cpus", 1)
    fused = plan("digits_cnn", settings={"trainer.resources": given, "trainer.rows": 4})
    assert Session.of(fused, "sqlite:///tuner.db", in_process=False).layout.workers == workers


@pytest.mark.usefixtures("gpus")
def test_two_gpus_train_trials_side_by_side_and_each_command_sees_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    Path("card.sh").write_text('echo "val_loss=1, card=$CUDA_VISIBLE_DEVICES"\n')
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    study = tuner.start({"name": "s", "trainer": {"command": "sh card.sh"}, "space": space}, trials=4)
    assert study.summary.facts["workers"] == 2
    cards = {reading.extras["card"] for readings in study.readings().values() for reading in readings}
    assert cards == {2.0, 3.0}


def test_a_mac_trains_one_trial_at_a_time_where_rows_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    made = Session.of(
        plan("digits", settings={"trainer.device": "mps"}), "sqlite:///tuner.db", in_process=False
    )
    assert (made.devices, made.layout.rows, made.layout.workers) == (("mps",), 1, 1)
    assert made.notes[-1].startswith("trains: one trial at a time: mlp cannot be tried: ")
