"""Choices of any kind: None, lists, and values that are equal but not the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import tuner
from tuner.cli.summary import print_best
from tuner.core.space import Choice, Float, SearchSpace

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE = {
    "depth": tuner.Choice([None, 4, 8]),
    "hidden": tuner.Choice([[64, 32], [128]], default=[128]),
    "early": tuner.Choice([0, False, True]),
    "patience": tuner.Int(1, 5, when={"early": [0]}),
    "rate": tuner.Float(1e-4, 1, log=True, when={"depth": [None]}),
}


def evaluate(params: Mapping[str, Any], context: Any) -> float:
    """A value that says what the function was given."""
    assert params["depth"] is None or type(params["depth"]) is int
    assert params["hidden"] in ([64, 32], [128])
    assert ("rate" in params) == (params["depth"] is None)
    assert ("patience" in params) == (params["early"] is not False and params["early"] is not True)
    return (params["depth"] or 0) + len(params["hidden"])


def test_none_and_lists_are_choices_that_arrive_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    study = tuner.start(
        trainer=evaluate, space=SPACE, name="s", trials=24, settings={"search.sampler": "random"}
    )
    assert {record.state for record in study.records} == {tuner.TrialState.FINISHED}
    assert study.trial(0).params == {"depth": None, "hidden": [128], "early": 0, "patience": 3, "rate": 0.01}
    assert set(study.trials["params.depth"]) == {"none", 4, 8}
    assert set(study.trials["params.hidden"]) == {"[64, 32]", "[128]"}
    assert study.best.params["depth"] is None
    assert study.plot("parallel").data


def test_none_is_told_from_what_is_not_active_and_false_from_zero(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def value(params: Mapping[str, Any], context: Any) -> float:
        return 0.0 if params["early"] is False and params["depth"] is None else 1.0

    space = {"depth": tuner.Choice([4, None]), "early": tuner.Choice([0, False])}
    study = tuner.start(trainer=value, space=space, name="s", trials=4, settings={"search.sampler": "grid"})
    print_best(study)
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["depth", "none", "4"] in told
    assert ["early", "false", "0"] in told


def test_plain_optuna_opens_them() -> None:
    tuner.start(trainer=evaluate, space=SPACE, name="s", trials=4)
    found = optuna.load_study(study_name="s", storage="sqlite:///tuner.db").trials
    assert found[0].params["depth"] == "none"
    assert found[0].params["hidden"] == "[128]"
    assert found[0].distributions["hidden"] == optuna.distributions.CategoricalDistribution(
        ["[64, 32]", "[128]"]
    )


def test_they_are_resumed_enqueued_and_fixed() -> None:
    tuner.start(trainer=evaluate, space=SPACE, name="s", trials=2)
    optuna.load_study(study_name="s", storage="sqlite:///tuner.db").enqueue_trial(
        {"depth": None, "hidden": [64, 32]}
    )
    study = tuner.resume("s", trainer=evaluate, trials=4)
    assert study.trial(2).params["hidden"] == [64, 32]
    assert len(study.specs) == 2
    fixed = {**SPACE, "fixed": {"hidden": [64, 32], "depth": None}}
    study = tuner.start(trainer=evaluate, space=fixed, name="fixed", trials=3)
    assert all(record.value == 2 for record in study.records)


def test_what_is_only_fixed_arrives_as_it_was_given() -> None:
    given: list[Mapping[str, Any]] = []

    def train(params: Mapping[str, Any], context: Any) -> float:
        given.append(params)
        return params["x"]  # type: ignore[no-any-return]

    space = {"x": tuner.Float(0, 1), "fixed": {"hidden": [64, 32], "depth": None, "kind": "none"}}
    tuner.start(trainer=train, space=space, name="s", trials=1)
    tuner.resume("s", trainer=train, trials=2)
    assert [[each[name] for name in ("hidden", "depth", "kind")] for each in given] == [
        [[64, 32], None, "none"]
    ] * 2


def test_numbers_of_numpy_are_those_of_python() -> None:
    chosen = tuner.Choice([np.int64(3), np.float32(0.5), np.bool_(True), [np.int64(4)]])
    assert chosen.choices == (3, 0.5, True, "[4]")
    assert [type(value) for value in chosen.choices] == [int, float, bool, str]
    assert tuner.Choice(np.array([8, 16])).choices == (8, 16)
    assert tuner.Int(np.int64(0), np.int64(4)).default == 2
    assert tuner.Float(np.float32(0), 1).default == 0.5


def test_a_study_file_says_none_and_lists(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def train(params, context):\n"
        "    assert params['depth'] in (None, 4) and params['hidden'] in ([64, 32], [])\n"
        "    return (params['depth'] or 0) + len(params['hidden'])\n"
    )
    (tmp_path / "s.toml").write_text(
        '[trainer]\nuse = "./own.py:train"\nworkers = 1\n[budget]\ntrials = 4\n'
        '[space.depth]\ntype = "choice"\nchoices = ["none", 4]\nnone = "none"\n'
        '[space.hidden]\ntype = "choice"\nchoices = [[64, 32], []]\ndefault = [64, 32]\n'
        '[space.rate]\ntype = "float"\nlow = 0\nhigh = 1\nwhen = { hidden = [[64, 32]], depth = "none" }\n'
    )
    study = tuner.start("s.toml")
    assert {record.value for record in study.records} <= {0, 2, 4, 6}
    assert study.trial(0).params == {"depth": None, "hidden": [64, 32], "rate": 0.5}


def test_a_condition_compares_value_and_type() -> None:
    space = SearchSpace.compose(
        {
            "early": Choice(choices=(0, False, True, 1), default=0),
            "x": Float(low=0, high=1, default=0, when={"early": [0, True]}),
        }
    )
    active = [value for value in (0, False, True, 1) if "x" in space.defaults({"early": value})]
    assert [repr(value) for value in active] == ["0", "True"]
    ranged = SearchSpace.compose(
        {
            "rate": Float(low=0, high=1, default=1),
            "x": Float(low=0, high=1, default=0, when={"rate": 1}),
        }
    )
    assert "x" in ranged.defaults({"rate": 1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tuner.Float(2, 1), "Float: low is 2 and high is 1: the range is upside down; swap them"),
        (lambda: tuner.Float(0), "Float: high is missing"),
        (lambda: tuner.Float(0, 1, 5), "Float: default 5.0 is not in 0 to 1"),
        (lambda: tuner.Float(0, 1, low=0), "Float: low is given twice, by place and by name"),
        (lambda: tuner.Float(0, 1, 0.5, True), "Float: takes low, high, default by place, found 4 values"),
        (lambda: tuner.Int(0, 1.5), "Int: high: input should be a valid integer; found 1.5"),
        (
            lambda: tuner.Choice("adam"),
            "Choice: choices: a list of at least one value is needed; found 'adam'",
        ),
        (lambda: tuner.Choice([1, 2, 1]), "Choice: choices: 1 stands there twice; name each once"),
        (
            lambda: tuner.Choice([None, "none"]),
            "Choice: choices: None stands as 'none' in tables; call the text",
        ),
        (lambda: tuner.Choice([[1, 2], "[1, 2]"]), "Choice: choices: '[1, 2]' stands there twice"),
        (lambda: tuner.Choice([]), "Choice: choices: a list of at least one value is needed; found []"),
        (
            lambda: tuner.Choice(range(3)),
            "Choice: choices: a list of at least one value is needed; found range",
        ),
        (lambda: tuner.Choice([[math.nan]]), "Choice: choices: numbers, texts, True, False, None or lists"),
        (lambda: tuner.Int(0, 10**400), "Int: low and high: numbers up to 1e+300 are needed"),
        (lambda: tuner.Float(-1e308, 1e308), "Float: low and high: numbers up to 1e+300 are needed"),
        (lambda: tuner.Choice([1], defualt=1), "Choice: unknown key 'defualt'"),
    ],
)
def test_a_fault_of_a_parameter_is_one_line(make: Any, words: str) -> None:
    with pytest.raises(tuner.SpecError) as raised:
        make()
    assert str(raised.value).startswith(words)
    assert "\n" not in str(raised.value)


def test_a_default_that_is_left_out_is_the_middle_or_the_first_choice() -> None:
    floats = tuner.Float(0, 1), tuner.Float(1e-4, 1, log=True), tuner.Float(0, 1, step=0.4)
    ints = tuner.Int(1, 5), tuner.Int(1, 100, log=True), tuner.Int(1, 8, step=3)
    assert [each.default for each in floats] == [0.5, 0.01, 0.4]
    assert [each.default for each in ints] == [3, 10, 4]
    assert tuner.Choice(["adam", None]).default == "adam"
