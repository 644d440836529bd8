"""Every finding at once: their order, broken plugins, and that odd studies never make one raise."""

from __future__ import annotations

import logging
import math
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.findings.parts import (
    DROPOUT,
    LAYERS,
    OPTIMIZER,
    RATE,
    diverged,
    evidence,
    falling,
    rates,
    readings,
    space_of,
    trial,
)
from tuner import registry
from tuner.core.importances import Importances
from tuner.core.space import Choice, Float, Int
from tuner.core.trial import Objective, Params, Reading, TrialRecord, TrialState
from tuner.findings import GROUP, Evidence, Finding, Severity, all_of

FOLDER = Path(__file__).parent
FINDS = [point.load() for _, point in sorted(registry.registered(GROUP).items())]


def names() -> list[str]:
    return sorted(registry.registered(GROUP))


def test_every_registered_finding_has_a_test_of_its_own() -> None:
    assert names() == [
        "commonest_class", "edge", "failures", "few_good", "gradients", "interaction", "irrelevant",
        "no_gain", "noisy", "nothing_learned", "overfitting", "saturated", "simple_is_as_good",
        "still_improving",
    ]  # fmt: skip
    assert all((FOLDER / f"test_{name}.py").is_file() for name in names())


def unlucky() -> Evidence:
    """A study of which more than one thing can be said."""
    space = space_of(rate=RATE)
    drawn = [1e-4, *rates(29, low=1e-3)]
    curve = {i: readings(falling(0.1 + rate)) for i, rate in enumerate(drawn)}
    records = [
        diverged(i, {"rate": rate}) if rate > 0.05 else trial(i, {"rate": rate}, curve[i])
        for i, rate in enumerate(drawn)
    ]
    return evidence(records, curve, space)


def test_what_matters_most_comes_first() -> None:
    found = all_of(unlucky())
    assert len(found) >= 2
    assert [f.severity for f in found] == sorted((f.severity for f in found), reverse=True)
    assert found[0].name == "no_gain"
    assert "failures" in [f.name for f in found]


def test_a_plugin_that_raises_or_talks_nonsense_is_logged_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = [f.name for f in all_of(unlucky())]
    own = {
        "broken": EntryPoint("broken", "tests.findings.test_all:broken", GROUP),
        "gone": EntryPoint("gone", "tests.findings.nowhere:find", GROUP),
        "mute": EntryPoint("mute", "tests.findings.test_all:mute", GROUP),
    }
    known = registry.registered(GROUP)
    monkeypatch.setattr(registry, "registered", lambda group: {**known, **own})
    with caplog.at_level(logging.ERROR, logger="tuner.findings.finding"):
        assert [f.name for f in all_of(unlucky())] == before
    assert [record.args[0] for record in caplog.records if record.args] == ["broken", "gone", "mute"]  # type: ignore[index]


def broken(found: Evidence) -> Finding:
    raise ZeroDivisionError


def mute(found: Evidence) -> str:
    return "nothing to say"


ODD = space_of(
    rate=RATE,
    optimizer=OPTIMIZER,
    momentum=Float(low=0.0, high=0.99, default=0.9, when={"optimizer": ("sgd",)}),
    dropout=DROPOUT,
    layers=LAYERS,
    one=Float(low=2.0, high=2.0, default=2.0),
    single=Int(low=3, high=3, default=3),
    only=Choice(choices=("a",), default="a"),
    flag=Choice(choices=(True, False), default=True),
    wide=Float(low=-1e308, high=1e308, default=0.0),
)
ANY = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.sampled_from([0.0, 0.5, math.nan, 1e300])
PARAMS: st.SearchStrategy[Params] = st.fixed_dictionaries(
    {},
    optional={
        "rate": st.floats(1e-4, 1e-1) | st.just(-1.0),
        "optimizer": st.sampled_from(["adam", "sgd"]),
        "momentum": st.floats(0, 0.99),
        "dropout": st.sampled_from([0.0, 0.25, 0.5]),
        "layers": st.integers(1, 4),
        "one": st.just(2.0),
        "single": st.just(3),
        "only": st.just("a"),
        "flag": st.booleans(),
        "wide": st.floats(-1e308, 1e308),
    },
)


@st.composite
def odd_trials(draw: st.DrawFn, number: int) -> tuple[TrialRecord, list[Reading]]:
    length = draw(st.integers(0, 12))
    curve = [Reading(e, draw(ANY), draw(ANY), val_score=draw(ANY)) for e in range(1, length + 1)]
    metric = draw(st.sampled_from(["val_loss", "val_score"]))
    best = Objective(metric).best(curve)
    record = TrialRecord(
        number,
        draw(PARAMS),
        draw(st.sampled_from(TrialState)),
        value=best.get(metric) if best and draw(st.booleans()) else None,
        best=best,
        epochs=length,
        conclusive=draw(st.booleans()),
        rule=draw(st.sampled_from([None, "divergence", "pruner"])),
    )
    return record, curve


def told(made: Evidence) -> list[Finding]:
    """What every plugin finds; a raise is not caught."""
    found = [find(made) for find in FINDS]
    return [each for each in found if each is not None]


def is_sound(finding: Finding) -> bool:
    numbers = [n for n in finding.numbers.values() if not isinstance(n, str)]
    texts = finding.sentence + finding.advice
    return bool(
        finding.sentence.endswith(".")
        and finding.advice.endswith(".")
        and "\n" not in texts
        and "nan" not in texts
        and np.isfinite(numbers).all()
    )


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_odd_trials_never_make_a_finding_raise(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 14))
    drawn = [data.draw(odd_trials(number)) for number in range(count)]
    objective = data.draw(st.sampled_from([Objective(), Objective("val_score", False)]))
    parts = {name: data.draw(st.floats(0, 1)) for name, _ in ODD if data.draw(st.booleans())}
    shares = Importances(count, 20, parts, idle=tuple(name for name, _ in ODD if name not in parts))
    curves = {record.number: curve for record, curve in drawn if data.draw(st.booleans())}
    importances = {"value": shares, "gap": shares}
    made = evidence([record for record, _ in drawn], curves, ODD, objective, importances)
    assert all(is_sound(finding) for finding in told(made))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), kinds=st.sets(st.sampled_from(["bad", "cut", "nan", "flat"])))
def test_odd_studies_of_many_trials_never_make_a_finding_raise(seed: int, kinds: set[str]) -> None:
    rng = np.random.default_rng(seed)
    records, curves = [], {}
    for number in range(80):
        params = ODD.defaults()
        for name, parameter in ODD:
            if parameter.active_under(params) and name != "wide":
                params[name] = parameter.grid(7)[int(rng.integers(len(parameter.grid(7))))]
            elif not parameter.active_under(params):
                params.pop(name, None)
        values: Any = np.full(10, 0.5) if "flat" in kinds else rng.normal(1, 0.5, 10)
        if "nan" in kinds:
            values[rng.uniform(size=10) < 0.3] = math.nan
        curves[number] = readings(values, train=rng.normal(0.5, 0.5, 10))
        record = trial(number, params, curves[number])
        if "bad" in kinds and rng.uniform() < 0.5:
            record = diverged(number, params)
        elif "cut" in kinds and rng.uniform() < 0.5:
            record = TrialRecord(
                number, params, TrialState.PAUSED, value=record.value, best=record.best, epochs=10
            )
        records.append(record)
    made = evidence(
        records,
        curves,
        ODD,
        importances={"value": Importances(40, 20, {"none": 1.0}, idle=tuple(n for n, _ in ODD))},
    )
    assert all(is_sound(finding) for finding in told(made))


@pytest.mark.parametrize("count", [0, 1, 30])
def test_studies_in_which_all_failed_or_of_one_trial_are_no_trouble(count: int) -> None:
    space = space_of(rate=RATE)
    made = evidence([TrialRecord(i, {"rate": 0.1}, TrialState.FAILED) for i in range(count)], {}, space)
    assert [f.severity for f in told(made)] == ([Severity.WARNING] if count == 30 else [])
