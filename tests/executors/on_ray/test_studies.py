"""Whole studies on Ray: commands, folds and repeats, the confirmation and ranks, all as on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from tests.executors.on_ray.nodes import add_node
from tuner.core.spec import StudySpec
from tuner.executors import ray_cluster
from tuner.executors.ray_pool import RayPool

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("nodes"),
]

SCRIPT = """
import json, os, pathlib
import tuner

p, folder = tuner.params(x=0.5), pathlib.Path(os.environ["TUNER_CHECKPOINT"])
file = folder / "state.json"
place, steps = json.loads(file.read_text()) if file.exists() else (0.0, 0)
while True:
    place, steps = place + p["x"], steps + 1
    file.write_text(json.dumps([place, steps]))
    print("step", steps)
    tuner.report(train_loss=place, val_loss=abs(p["x"] - 0.3) + 1 / steps, state=folder, model=file)
"""
LOOP = """
import torch

def train(params, context):
    value = torch.zeros(())
    context.keep({"value": value})
    if state := context.resume():
        value = state["value"]
    while True:
        value += context.mean(params["x"] * (1 + context.rank))
        yield {"train_loss": value, "val_loss": value, "ranks": context.world_size, "state": {"value": value}}
"""
X = {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9}}
COMMAND: dict[str, Any] = {"trainer": {"command": "python train.py", "epochs": 6, "workers": 2}, "space": X}
RANKS: dict[str, Any] = {
    "trainer": {"use": "./loop.py:train", "epochs": 6, "workers": 1, "world_size": 2, "device": "cpu"},
    "confirm": {"top": 1, "repeats": 3},
    "space": X,
}
FUSED: dict[str, Any] = {
    "data": {"source": "rows.npz", "folds": 2},
    "trainer": {"epochs": 6, "repeats": 2, "rows": 4, "workers": 2},
    "confirm": {"top": 1, "repeats": 3},
    "space": {"use": ["optimization"]},
}


def stored(study: tuner.Study) -> list[Any]:
    ended = [(r.number, r.state, r.value, r.rule, r.model_path is not None) for r in study.records]
    curves = sorted(study.readings().items())
    return [ended, [(n, [astuple(replace(r, seconds=0.0)) for r in rs]) for n, rs in curves]]


@pytest.mark.parametrize(
    ("table", "is_shared"),
    [(COMMAND, False), (RANKS, True), (FUSED, False)],
    ids=["command", "ranks and their confirmation", "folds, repeats and confirmation"],
)
def test_a_study_comes_out_bit_for_bit_as_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Mapping[str, Any], is_shared: bool
) -> None:
    monkeypatch.setitem(RayPool.__init__.__kwdefaults__ or {}, "shared", is_shared)
    found: list[list[Any]] = []
    for executor in ("processes", "ray"):
        folder = tmp_path / executor
        folder.mkdir()
        (folder / "train.py").write_text(SCRIPT)
        (folder / "loop.py").write_text(LOOP)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(90, 4)).astype(np.float32)
        np.savez(folder / "rows.npz", X=x[:60], y=x[:60, 0] > 0, X_test=x[60:], y_test=x[60:, 0] > 0)
        monkeypatch.chdir(folder)
        settings = {"trainer.executor": executor, "trainer.reproducible": True, "search.pruner": "asha"}
        study = tuner.start({**table, "name": "s"}, trials=6, settings=settings)
        found.append([stored(study)])
        if "confirm" in table:
            found[-1].append(tuner.confirm("s").candidates)
            found[-1].append(stored(tuner.load("s~confirm")))
        assert not list(folder.glob("tuner_models/*/checkpoints/*"))
    assert found[0] == found[1]
    assert len({len(readings) for _, readings in found[0][0][1]}) > 1, "some are pruned"
    if table is RANKS:
        assert study.readings()[0][0].extras["ranks"] == 2.0


def test_a_worker_asks_for_the_cores_of_all_its_ranks() -> None:
    spec = StudySpec.parse({"trainer": {**RANKS["trainer"], "workers": "auto"}, "space": X})
    ray_cluster.join("auto")
    cores = sum(int(node.resources.get("CPU", 0)) for node in ray_cluster.nodes() if node.alive)
    assert ray_cluster.room(spec.trainer) == cores // 2


CARDS = """
import os, time
from pathlib import Path
from tuner.trainers.device import visible_to_command

def train(params, context):
    Path("met").mkdir(exist_ok=True)
    Path("met", str(os.getpid())).touch()
    while len(list(Path("met").iterdir())) < 4:  # each worker has a trial
        time.sleep(0.01)
    card = int(os.environ["CUDA_VISIBLE_DEVICES"])
    command = int(visible_to_command(context.resources.devices))
    yield {"val_loss": params["x"], "card": card, "process": os.getpid(), "of_command": command}
"""


def test_workers_share_the_gpus_of_a_node_and_commands_see_those_of_their_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop.py").write_text(CARDS)
    node = add_node(nodes, num_cpus=5, num_gpus=2)  # Ray believes it
    try:
        settings = {"trainer.executor": "ray", "trainer.resources": {"gpus": 0.5}}
        study = tuner.start(
            {"name": "s", "trainer": {"use": "./loop.py:train"}, "space": X}, trials=8, settings=settings
        )
    finally:
        nodes.remove_node(node, allow_graceful=False)
    assert (study.summary.facts["workers"], study.summary.facts["device"]) == (4, "cuda")
    told = [reading.extras for readings in study.readings().values() for reading in readings]
    assert Counter(card for _, card in {(each["process"], each["card"]) for each in told}) == {0: 2, 1: 2}
    assert all(each["of_command"] == each["card"] for each in told)


def test_no_worker_has_parts_of_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 9.0}},
    ]
    monkeypatch.setattr(ray_cluster.imported(), "nodes", lambda: found)
    for gpus, rooms in ((0.4, 4), (0.25, 8), (1 / 49, 16), (1.0, 2), (2.0, 1), (3.0, 0), (0.0, 25)):
        assert ray_cluster.slots({"num_cpus": 1, "num_gpus": gpus}) == rooms
