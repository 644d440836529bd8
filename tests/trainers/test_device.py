"""Which devices there are, and which GPUs a command sees; the GPUs are pretended."""

from __future__ import annotations

import pytest
import torch

from tuner.core.spec import StudySpec
from tuner.errors import DeviceError, SpecError
from tuner.trainers import device
from tuner.trainers.device import (
    device_fault,
    device_fault_of_any,
    device_fault_of_command,
    devices_at_hand,
    visible_gpus,
    visible_to_command,
)
from tuner.trainers.global_rng import GlobalRng

VISIBLE = "CUDA_VISIBLE_DEVICES"


def set_visible(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if told is not None:
        monkeypatch.setenv(VISIBLE, told)


@pytest.mark.parametrize(
    ("told", "devices", "seen"),
    [
        ("2,3", ("cuda:1",), "3"),
        ("2, 3", ("cuda:1", "cuda:0"), "3,2"),
        ("MIG-a,MIG-b", ("cuda:1",), "MIG-b"),
        ("GPU-8f1c", ("cuda",), "GPU-8f1c"),
        ("3", ("cuda:0",), "3"),  # as Ray sets it for an actor
        ("3,-1,2", ("cuda:0",), "3"),  # CUDA stops at -1
        (None, ("cuda:1",), "1"),
        (None, ("cuda",), "0"),
        ("2,3", ("cpu",), None),
        (None, ("mps",), None),
    ],
)
def test_a_command_sees_the_gpus_of_its_trial(
    monkeypatch: pytest.MonkeyPatch, told: str | None, devices: tuple[str, ...], seen: str | None
) -> None:
    set_visible(monkeypatch, told)
    assert visible_to_command(devices) == seen


@pytest.mark.parametrize(("told", "lists"), [("", 0), ("3,-1,2", 1)])
def test_a_command_is_not_started_without_its_gpu(
    monkeypatch: pytest.MonkeyPatch, told: str, lists: int
) -> None:
    set_visible(monkeypatch, told)
    with pytest.raises(
        DeviceError, match=f"cuda:1 is not there: CUDA_VISIBLE_DEVICES lists {lists}, counted"
    ):
        visible_to_command(("cuda:0", "cuda:1"))


def test_what_cuda_does_not_count_is_not_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, seen in ((None, None), ("", []), ("1,,2", ["1"]), ("0,-1", ["0"]), ("-1", [])):
        set_visible(monkeypatch, told)
        assert visible_gpus() == seen


@pytest.mark.parametrize(
    ("told", "name", "in_process", "in_command"),
    [
        (None, "cuda:3", True, True),
        (None, "cuda:4", False, False),
        ("2", "cuda", True, True),
        ("2", "cuda:1", False, False),
        ("", "cuda", False, False),
        ("MIG-a,MIG-b", "cuda:1", False, True),
        ("MIG-a,MIG-b", "cuda:2", False, False),
    ],
)
def test_a_gpu_that_pytorch_does_not_see_is_there_if_the_driver_has_it_and_the_variable_lists_it(
    monkeypatch: pytest.MonkeyPatch, told: str | None, name: str, in_process: bool, in_command: bool
) -> None:
    monkeypatch.setattr(device, "_driven", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    set_visible(monkeypatch, told)
    assert (device_fault_of_any(name) is None) is in_process
    assert (device_fault_of_command(name) is None) is in_command


@pytest.mark.parametrize(("count", "found"), [(0, ("cpu",)), (1, ("cuda",)), (2, ("cuda:0", "cuda:1"))])
def test_every_gpu_is_at_hand(monkeypatch: pytest.MonkeyPatch, count: int, found: tuple[str, ...]) -> None:
    monkeypatch.setattr("tuner.trainers.device.shutil.which", lambda _: "nvidia-smi")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert devices_at_hand() == found


def test_mps_is_a_device_where_pytorch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for fault in (device_fault, device_fault_of_any, device_fault_of_command):
        assert fault("mps") == (
            '\'mps\' is not available: torch sees no GPU of a Mac (Metal); give "cpu" or "auto"'
        )
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for fault in (device_fault, device_fault_of_any, device_fault_of_command):
        assert fault("mps") is None
        assert str(fault("mps:1")).startswith("unknown name 'mps:1'; known: auto, cpu, cuda, cuda:1, mps")


@pytest.mark.parametrize(
    ("trainer", "told"),
    [({"world_size": 2}, "drop world_size"), ({"precision": "bfloat16"}, "drop precision")],
)
def test_mps_is_refused_for_what_does_not_work_there(trainer: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        StudySpec.parse({"trainer": {"device": "mps", **trainer}})


def test_a_trial_on_mps_has_its_own_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    stood = torch.zeros(4, dtype=torch.uint8)
    monkeypatch.setattr(torch.mps, "get_rng_state", stood.clone)
    monkeypatch.setattr(torch.mps, "set_rng_state", stood.copy_)
    monkeypatch.setattr(torch.mps, "manual_seed", stood.fill_)
    one, two = GlobalRng(3, "mps"), GlobalRng(5, "mps")
    for streams, starts in ((one, 3), (two, 5), (one, 4), (two, 6)):
        with streams:
            assert stood.tolist() == [starts] * 4
            stood.add_(1)
        assert stood.tolist() == [0] * 4
    again = GlobalRng(0, "mps")
    again.restore(one.state())
    with again:
        assert stood.tolist() == [5] * 4
