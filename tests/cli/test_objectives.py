"""What `tune best` and `tune show` tell of several objectives, constraints and over-fitting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import STUDY, Tune

GOALS = """
[objective]
also = {cost = "minimize"}
at_most = {cost = 0.75}
[search]
sampler = "qmc"
pruner = "none"
"""


@pytest.fixture
def many(tune: Tune, folder: Path) -> Tune:
    """`tune` beside a study of two objectives and a constraint that the default violates."""
    text = STUDY.replace(":train", ":trades").replace("default = 0.2", "default = 1.0") + GOALS
    (folder / "study.toml").write_text(text.replace("epochs = 4", "epochs = 10"))
    ended = tune("start", "study.toml")
    assert ended.code == 0, ended.err
    assert "best trade-offs of val_loss, cost:" in ended.out
    return tune


def test_best_prints_the_front_as_a_table_and_as_json(many: Tune) -> None:
    told = many("best", "study").out
    assert "best trade-offs of val_loss, cost:" in told
    assert "The default does not meet every constraint: cost 1, not at most 0.75." in told
    table = json.loads(many("best", "study", "--json").out)
    assert table["feasible"]
    front = table["front"]
    assert front[0]["trial"] == table["trial"]
    costs = [each["values"]["cost"] for each in front]
    assert costs == sorted(costs, reverse=True)
    assert max(costs) <= 0.75
    assert len(front) > 1


def test_best_says_which_trial_to_take_within_limits(many: Tune) -> None:
    front = json.loads(many("best", "study", "--json").out)["front"]
    limit = sorted(each["values"]["cost"] for each in front)[-2]
    told = many("best", "study", "--at-most", f"cost={limit}").out
    assert told.startswith(f"For cost of at most {limit:g} take trial {front[1]['trial']}: validation loss")
    chosen = json.loads(many("best", "study", "--at-most", f"cost={limit}", "--json").out)
    assert chosen["number"] == front[1]["trial"]
    refused = many("best", "study", "--at-most", "cost=0.0001", "--at-most", "noise=1")
    assert refused.code == 2
    assert "no trial has cost of at most 0.0001 and noise of at most 1" in refused.err
    assert "--at-most cost=low: give a number" in many("best", "study", "--at-most", "cost=low").err


def test_over_fitting_is_told_in_words_and_in_numbers(many: Tune) -> None:
    assert "it over-fits from epoch" in many("show", "study", "0").out
    table = json.loads(many("show", "study", "0", "--json").out)
    best = json.loads(many("best", "study", "--json").out)["default"]
    for name in ("gap", "gap_last", "onset_epoch", "rise"):
        assert table[name] == best[name]
    assert table["onset_epoch"] == table["best_epoch"]
    assert table["gap_last"] > table["gap"]
    assert table["rise"] > 0


def test_check_tells_every_objective_and_constraint(many: Tune) -> None:
    told = " ".join(many("check", "study.toml").out.split())
    assert "lowest val_loss, lowest cost, cost at most 0.75" in told
