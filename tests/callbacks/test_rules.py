from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner import callbacks
from tuner.callbacks.asha import ASHA
from tuner.callbacks.divergence import Divergence
from tuner.callbacks.gap import Gap
from tuner.callbacks.patience import Patience
from tuner.callbacks.pruner import Pruner
from tuner.callbacks.seconds import SecondsPerTrial
from tuner.core.ports import Callback, Scheduler
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Pause, Reading, Stop
from tuner.errors import PluginError
from tuner.testing.callback import EPOCHS, CallbackContract, Losses, curve, feed, trial

ALL = {"patience": 3, "gap": 0.5, "seconds": 60.0}


def spec(**sections: Any) -> StudySpec:
    space = {"rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.1}}
    return StudySpec.parse({"trainer": {"epochs": EPOCHS}, "space": space, **sections})


class TestDivergence(CallbackContract):
    def callback(self) -> Callback:
        return Divergence(100.0, "val_loss")

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0.5, 0.5), (0.4, 60.0)],)


class TestPrunerOfOptuna(CallbackContract):
    def callback(self) -> Callback:
        made = Pruner.from_spec(spec(search={"pruner": "optuna.pruners:SuccessiveHalvingPruner"}))
        assert made is not None
        return made

    def stopped(self) -> tuple[Losses, ...]:
        return [(0.5, 0.1)] * EPOCHS, [(0.5, 0.2)] * EPOCHS, [(0.5, 0.1)] * EPOCHS, [(0.5, 0.3)]


@pytest.mark.parametrize("name", ["MedianPruner", "HyperbandPruner", "WilcoxonPruner", "NopPruner"])
def test_any_pruner_of_optuna_is_asked(name: str) -> None:
    rule = Pruner.from_spec(spec(search={"pruner": f"optuna.pruners:{name}"}))
    assert rule is not None
    # Differences of the same size are ties, which Wilcoxon's test permutes for seconds.
    grown = [1 + epoch / 100 for epoch in range(EPOCHS)]
    for number in range(12):
        feed(rule, number, curve([(1.0, number * by) for by in grown]))
    ended = [answer for answer in feed(rule, 12, curve([(1.0, 99.0 * by) for by in grown])) if answer]
    assert bool(ended) == (name != "NopPruner")


def test_pruner_that_needs_arguments_says_so() -> None:
    with pytest.raises(PluginError, match="cannot be set up without arguments: TypeError"):
        Pruner.from_spec(spec(search={"pruner": "optuna.pruners:PatientPruner"}))


class TestGap(CallbackContract):
    def callback(self) -> Callback:
        return Gap(0.5)

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0.5, 1.0), (0.4, 1.0)],)


class TestPatience(CallbackContract):
    def callback(self) -> Callback:
        return Patience(2, 0.0, Objective())

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0, 0.5), (0, 0.4), (0, 0.4), (0, 0.5)],)


class TestSecondsPerTrial(CallbackContract):
    def callback(self) -> Callback:
        return SecondsPerTrial(2.0)

    def stopped(self) -> tuple[Losses, ...]:
        return ([(0, 1)] * 3,)


def test_only_what_is_asked_for_is_built_and_divergence_comes_first() -> None:
    assert [type(c) for c in callbacks.build(spec())] == [Divergence, ASHA]
    stopping = spec(search={"pruner": "asha-stop"})
    rules = callbacks.build(stopping)
    assert [type(c) for c in rules] == [Divergence, Pruner]
    assert [isinstance(c, Scheduler) for c in rules] == [False, False]
    none = spec(search={"pruner": "none"}, stop=ALL)
    assert [type(c) for c in callbacks.build(none)] == [Divergence, Gap, Patience, SecondsPerTrial]


@pytest.mark.parametrize("pruner", ["asha", "asha-stop", "hyperband", "median", "percentile"])
def test_every_pruner_stops_the_worst_of_many(pruner: str) -> None:
    rule = Pruner.from_spec(spec(search={"pruner": pruner, "startup_trials": 3}))
    assert rule is not None
    for number in range(40):
        feed(rule, number, curve([(0, 0.5 + number / 100)] * (EPOCHS - 1)))
    stops = [s for s in feed(rule, 40, curve([(0, 9.0)] * (EPOCHS - 1))) if s]
    assert stops
    assert isinstance(stops[0], Pause) if pruner == "asha" else not getattr(stops[0], "conclusive", True)


@pytest.mark.parametrize("pruner", ["asha", "asha-stop", "hyperband", "median", "percentile"])
def test_no_pruner_stops_the_default_configuration(pruner: str) -> None:
    rule = Pruner.from_spec(spec(search={"pruner": pruner, "startup_trials": 3}))
    assert rule is not None
    for number in range(1, 40):
        feed(rule, number, curve([(0, 0.5 + number / 100)] * (EPOCHS - 1)))
    assert not any(feed(rule, 0, curve([(0, 9.0)] * (EPOCHS - 1))))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["train_loss", "val_loss"])
def test_a_loss_that_is_no_number_is_divergence(name: str, loss: float) -> None:
    rule = Divergence(100.0, "val_loss")
    fine = Reading(1, 0.5, 0.6)
    broken = (
        replace(fine, epoch=2, train_loss=loss)
        if name == "train_loss"
        else replace(fine, epoch=2, val_loss=loss)
    )
    stop = rule.decide(trial(0), [fine, broken])
    assert stop == Stop("divergence", f"epoch 2: {name} is {loss}", conclusive=False)


def test_a_loss_that_no_trial_has_is_not_measured() -> None:
    rule = Divergence(100.0, "val_loss")
    assert rule.decide(trial(0), [Reading(1, math.nan, 0.6)]) is None
    assert rule.decide(trial(0), [Reading(1, math.nan, 0.6), Reading(2, math.nan, 0.5)]) is None
    assert rule.decide(trial(0), [Reading(1, math.nan, math.nan)]) is not None
    rule.decide(trial(1), [Reading(1, 0.7, 0.6)])
    assert rule.decide(trial(2), [Reading(1, math.nan, 0.6)]) is not None


def test_a_score_alone_is_enough() -> None:
    rule = Divergence(100.0, "val_score")
    assert rule.decide(trial(0), [Reading(1, math.nan, math.nan, val_score=0.5)]) is None
    assert rule.decide(trial(1), [Reading(1, math.nan, math.nan)]) is not None


def test_explosion_is_told_with_its_numbers() -> None:
    stop = feed(Divergence(100.0, "val_loss"), 0, curve([(0.5, 0.5), (60.0, 0.5)]))[-1]
    assert stop is not None
    assert stop.reason == "epoch 2: train_loss is 60, more than 100 times its first value, 0.5"


@pytest.mark.parametrize(
    "losses", [(1e-12, 0.5), (1e-4, 2.0), (0.0, 1.0), (-0.002, 3.0), (-5.0, 600.0), (0.5, -3.0, 60.0)]
)
def test_a_loss_that_starts_near_zero_or_can_be_negative_never_explodes(losses: tuple[float, ...]) -> None:
    for pair in (lambda x: (x, 0.5), lambda x: (0.5, x)):
        answers = feed(Divergence(100.0, "val_loss"), 0, curve([pair(loss) for loss in losses]))
        assert answers == [None] * len(losses)


@pytest.mark.parametrize("loss", [math.inf, -math.inf, math.nan])
def test_of_a_trainer_without_train_loss_the_number_that_is_not_finite_is_named(loss: float) -> None:
    rule = Divergence(100.0, "val_loss")
    stop = rule.decide(trial(0), [Reading(1, math.nan, loss)])
    assert stop is not None
    assert stop.reason == f"epoch 1: val_loss is {loss}"
    stop = Divergence(100.0, "reward").decide(
        trial(0), [Reading(1, math.nan, math.nan, extras={"reward": loss})]
    )
    assert stop is not None
    assert stop.reason == f"epoch 1: reward is {loss}"


def test_a_loss_is_measured_from_when_it_was_first_told() -> None:
    rule = Divergence(100.0, "val_loss")
    answers = feed(rule, 0, curve([(math.nan, 0.5), (0.5, 0.5), (60.0, 0.5)]))
    assert [answer.reason if answer else "" for answer in answers] == [
        "", "", "epoch 3: train_loss is 60, more than 100 times its first value, 0.5",
    ]  # fmt: skip


def test_patience_counts_from_the_last_epoch_that_was_better_by_the_least_difference() -> None:
    rule = Patience(2, 0.1, Objective("val_score", minimize=False))
    scores = [0.5, 0.55, 0.61, 0.65, 0.70, 0.71]
    readings = [Reading(e, 0, 0, val_score=s) for e, s in enumerate(scores, 1)]
    answers = feed(rule, 0, readings)
    assert answers[:4] == [None] * 4
    stop = answers[4]
    assert stop == Stop(
        "patience", "val_score is no better than in epoch 3 (0.61) for 2 epochs", conclusive=True
    )


def test_patience_without_any_value_is_inconclusive() -> None:
    stop = feed(Patience(3, 0.0, Objective()), 0, curve([(0, math.nan)] * 3))[-1]
    assert stop == Stop("patience", "no val_loss in 3 epochs", conclusive=False)


def test_gap_and_seconds_are_conclusive_and_name_their_numbers() -> None:
    gap = feed(Gap(0.5), 0, curve([(0.25, 1.0)]))[0]
    assert gap == Stop("gap", "epoch 1: val_loss - train_loss is 0.75, more than 0.5", conclusive=True)
    seconds = feed(SecondsPerTrial(1.5), 0, curve([(0, 1)] * 2))[1]
    assert seconds == Stop("seconds", "epoch 2: trained 2 seconds, more than 1.5", conclusive=True)


OWN = """
from tuner.core.trial import Stop

def words(trial, curve):
    return "enough" if curve[-1].val_loss > 0.5 else None

def stop(trial, curve):
    return Stop("mine", "done", conclusive=True)

def wrong(trial, curve):
    return True

def raising(trial, curve):
    return curve[-1].nothing

class Rule:
    def __init__(self, name):
        self.name = name

    @classmethod
    def from_spec(cls, spec):
        return cls(spec.name) if spec.name != "off" else None

    def decide(self, trial, curve):
        return self.name

rule = Rule("object")
number = 3
class Bare: pass
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def answer(name: str, folder: Path, study: str = "study") -> Stop | Pause | None:
    rules = spec(name=study, search={"pruner": "none"}, stop={"rules": [f"./own.py:{name}"]})
    return callbacks.build(rules, folder)[-1].decide(trial(0), curve([(0.5, 0.6)]))


def test_own_rules_may_be_functions_objects_and_classes(own: Path) -> None:
    assert answer("words", own) == Stop("words", "enough", conclusive=False)
    assert answer("stop", own) == Stop("mine", "done", conclusive=True)
    assert answer("rule", own) == Stop("rule", "object", conclusive=False)
    assert answer("Rule", own) == Stop("Rule", "study", conclusive=False)
    assert answer("Rule", own, study="off") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong", "wrong: returned True; return a Stop, a reason in words, or None"),
        ("raising", "raising: raised AttributeError at trial 0, epoch 1"),
        ("number", "own.py:number: cannot decide; give a class with from_spec"),
        ("Bare", "own.py:Bare: cannot decide; give a class with from_spec"),
        ("gone", "has no 'gone'"),
    ],
)
def test_what_is_wrong_with_an_own_rule_is_told(own: Path, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message.replace("(", r"\(")):
        answer(name, own)


def test_registered_rule_that_a_study_names_is_asked_once() -> None:
    rules = callbacks.build(spec(stop={"patience": 3, "rules": ["patience"]}))
    assert sum(isinstance(rule, Patience) for rule in rules) == 1
