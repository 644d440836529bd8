"""What `tune best` and `tune show` tell of several objectives, constraints and over-fitting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Tune

TRAINER = """
def train(params, context):
    for epoch in range(1, 11):
        over = params["x"] * max(0, epoch - 4) / 10
        yield {"train_loss": 1 / epoch, "val_loss": 2 - params["x"] + 1 / epoch + over, "cost": params["x"]}
"""
STUDY = """
name = "many"
[trainer]
use = "./trainer.py:train"
epochs = 10
[objective]
metric = "val_loss"
also = {cost = "minimize"}
at_most = {cost = 0.75}
[search]
sampler = "qmc"
pruner = "none"
[budget]
trials = 6
[confirm]
auto = false
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 1.0
"""


@pytest.fixture
def many(tune: Tune, folder: Path) -> Tune:
    """`tune` beside a study of two objectives and a constraint that the default violates."""
    (folder / "trainer.py").write_text(TRAINER)
    (folder / "study.toml").write_text(STUDY)
    ended = tune("start", "study.toml")
    assert ended.code == 0, ended.err
    assert "best trade-offs of val_loss, cost:" in ended.out
    return tune


def test_best_prints_the_front_as_a_table_and_as_json(many: Tune) -> None:
    told = many("best", "many").out
    assert "best trade-offs of val_loss, cost:" in told
    assert "The default configuration has cost 1, not at most 0.75." in told
    table = json.loads(many("best", "many", "--json").out)
    assert table["feasible"]
    front = table["front"]
    assert front[0]["trial"] == table["trial"]
    costs = [each["values"]["cost"] for each in front]
    assert costs == sorted(costs, reverse=True)
    assert max(costs) <= 0.75
    assert len(front) > 1


def test_over_fitting_is_told_in_words_and_in_numbers(many: Tune) -> None:
    assert "it over-fits from epoch" in many("show", "many", "0").out
    table = json.loads(many("show", "many", "0", "--json").out)
    best = json.loads(many("best", "many", "--json").out)["default"]
    for name in ("gap", "gap_last", "onset_epoch", "rise"):
        assert table[name] == best[name]
    assert table["onset_epoch"] == table["best_epoch"]
    assert table["gap_last"] > table["gap"]
    assert table["rise"] > 0


def test_check_tells_every_objective_and_constraint(many: Tune) -> None:
    told = " ".join(many("check", "study.toml").out.split())
    assert "lowest val_loss, lowest cost, cost at most 0.75" in told
