from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import tuner
from tuner.judging.noise import of_repeats
from tuner.judging.pairs import Estimate, paired, welch
from tuner.results.side_by_side import overview, settings

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9)}
Values = st.lists(st.floats(0.1, 10), min_size=3, max_size=8)


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """A loss that falls to x, and to nothing else."""
    for epoch in range(1, 4):
        yield {"train_loss": params["x"], "val_loss": params["x"] + 1 / epoch}


def noisy(level: float) -> Any:
    """Training whose loss lies around a level, by how much the seed says."""

    def train_noisily(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        luck = np.random.default_rng(context.seed).normal(0, 0.01)
        yield {"train_loss": 0.0, "val_loss": level + luck + params["x"] / 1000}

    return train_noisily


def start(name: str, trainer: Any = train, trials: int = 4, **keys: Any) -> tuner.Study:
    given = {"search.pruner": "none", "search.sampler": "random", **keys}
    return tuner.start(trainer=trainer, space=SPACE, name=name, trials=trials, settings=given)


def estimate(values: list[float], splits: str = "") -> Estimate:
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(float(np.mean(values)), error, len(values) - 1, "", tuple(values), splits)


@given(Values, Values)
def test_independent_values_are_told_apart_as_welch_does(one: list[float], two: list[float]) -> None:
    assume(min(np.ptp(one), np.ptp(two)) > 1e-3)
    found = welch(estimate(one), estimate(two))
    assert found is not None
    error, freedom = found
    expected = stats.ttest_ind(one, two, equal_var=False)
    assert (np.mean(one) - np.mean(two)) / error == pytest.approx(expected.statistic, rel=1e-6, abs=1e-9)
    assert freedom == pytest.approx(expected.df, rel=1e-6)


@given(Values, Values, st.sampled_from([0.0, 0.25]))
def test_pairs_are_told_apart_as_a_confirmation_does(
    one: list[float], two: list[float], overlap: float
) -> None:
    size = min(len(one), len(two))
    mine, others = (
        Estimate(0.0, 1.0, size - 1, "", tuple(values[:size]), "same", overlap) for values in (one, two)
    )
    found = paired(mine, others, 1)
    assert found is not None
    error = of_repeats(np.array([one[:size], two[:size]]), overlap).errors()[0, 1]
    assert found[0] == pytest.approx(error, abs=1e-6)
    assert found[1] == size - 1


def test_values_of_other_splits_are_no_pairs() -> None:
    values = [1.0, 2.0, 3.0]
    assert paired(estimate(values, "0~confirm"), estimate(values, "1~confirm"), 1) is None
    assert paired(estimate(values, "0~confirm"), estimate(values[:2], "0~confirm"), 1) is None
    assert paired(estimate(values, "0~confirm"), estimate(values, "0~confirm"), 1) is not None


def test_single_trainings_cannot_be_told_apart_and_the_way_out_is_named() -> None:
    start("a")
    start("b", **{"search.seed": 5})
    (pair,) = tuner.compare(["a", "b"]).pairs
    assert (pair.is_clear, pair.interval, pair.method) == (None, None, "unknown")
    assert "is unknown whether" in pair.sentence
    assert "`tune confirm a`" in pair.sentence
    assert "`tune confirm b`" in pair.sentence


def test_difference_beyond_the_noise_of_repeats_is_clear_and_one_within_is_not() -> None:
    for name, level in (("low", 0.2), ("high", 0.5), ("near", 0.5005)):
        start(name, noisy(level), trials=2, **{"trainer.repeats": 6})
    comparison = tuner.compare(["high", "low"])
    (pair,) = comparison.pairs
    assert (pair.better, pair.other, pair.method, pair.is_clear) == ("low", "high", "welch", True)
    assert pair.interval is not None
    assert pair.interval[0] < 0.3 < pair.interval[1]
    assert "luck" in pair.sentence
    assert comparison.sides[0].estimate.basis == "the mean of 6 seeds"
    (pair,) = tuner.compare(["high", "near"]).pairs
    assert pair.is_clear is False
    assert "cannot be told apart" in pair.sentence


def test_more_studies_need_clearer_differences() -> None:
    for name, level in (("a", 0.2), ("b", 0.5), ("c", 0.6)):
        start(name, noisy(level), trials=2, **{"trainer.repeats": 3})
    (alone,) = tuner.compare(["a", "b"]).pairs
    among = next(pair for pair in tuner.compare(["a", "b", "c"]).pairs if pair.other == "b")
    assert alone.interval is not None
    assert among.interval is not None
    assert among.gain == alone.gain
    assert among.interval[0] < alone.interval[0] < alone.interval[1] < among.interval[1]


def test_studies_that_search_for_different_things_are_refused() -> None:
    start("a")
    tuner.start(trainer=train, space=SPACE, name="b", trials=2, metric="train_loss")
    with pytest.raises(tuner.SpecError, match="a: least val_loss, b: least train_loss"):
        tuner.compare(["a", "b"])


def test_one_study_alone_is_refused() -> None:
    start("a")
    with pytest.raises(tuner.SpecError, match="at least two studies are needed, found: a"):
        tuner.compare(["a", "a"][:1])
    with pytest.raises(tuner.StudyNotFound):
        tuner.compare(["a", "b"])


def test_what_it_took_to_be_as_good_as_the_worst_is_counted() -> None:
    """A grid finds its best in a known trial; every trial takes three epochs."""
    start("best", trials=5, **{"search.sampler": "grid", "search.grid_points": 5})
    start("worst", trials=1)
    sides = {side.study: side for side in tuner.compare(["best", "worst"]).sides}
    assert sides["worst"].reach is not None
    assert (sides["worst"].reach.trials, sides["worst"].reach.epochs) == (1, 3)
    assert sides["best"].reach is not None
    assert sides["best"].reach.trials == 1
    assert sides["best"].found < sides["worst"].found


def test_keys_that_differ_are_told_for_every_study() -> None:
    start("a")
    start("b", **{"search.seed": 5})
    wide = {"x": tuner.Float(low=0, high=2, default=0.9), "y": tuner.Int(low=1, high=3, default=2)}
    tuner.start(trainer=train, space=wide, name="c", trials=4, settings={"search.pruner": "none"})
    found = tuner.compare(["a", "b", "c"]).differences
    assert found["search.seed"] == ("0", "5", "0")
    assert found["space.x.high"] == ("1.0", "1.0", "2.0")
    assert found["space.y"][:2] == ("(none)", "(none)")
    assert "name" not in found


def test_page_holds_what_the_terminal_tells_and_no_markup_of_a_user() -> None:
    hostile = "<script>alert(1)</script>"
    start(hostile)
    start("b", **{"search.seed": 5})
    comparison = tuner.compare([hostile, "b"], html="both.html")
    text = re.sub(r"<script.*?</script>", "", Path("both.html").read_text(), flags=re.DOTALL)
    assert "<script>" not in text
    for row in (*overview(comparison), *settings(comparison)):
        assert f">{row[0]}</th>" in text.replace("&#x27;", "'")


def test_confirmed_studies_are_compared_repeat_by_repeat() -> None:
    space = {"alpha": tuner.Float(low=1e-5, high=1.0, default=0.1, log=True)}
    for name, sampler in (("a", "random"), ("b", "qmc")):
        keys: dict[str, Any] = {
            "trainer.use": "sklearn",
            "trainer.model": "sklearn.linear_model:SGDClassifier",
        }
        keys |= {"search.sampler": sampler, "search.pruner": "none", "trainer.epochs": 3}
        keys |= {"trainer.executor": "inline"}
        tuner.start(data="sklearn:iris", space=space, name=name, trials=4, metric="val_score", settings=keys)
        tuner.confirm(name, top=1, repeats=3)
    comparison = tuner.compare(["a", "b"])
    (pair,) = comparison.pairs
    assert pair.method == "paired"
    assert "luck" not in pair.sentence
    assert all(side.is_confirmed and len(side.estimate.repeats) == 3 for side in comparison.sides)


def test_intervals_of_studies_stay_within_what_the_metric_can_be() -> None:
    for name, metric in (("loss", "val_loss"), ("score", "val_score")):
        keys = {
            "trainer.repeats": 3,
            "trainer.executor": "inline",
            "trainer.epochs": 12,
            "objective.metric": metric,
        }
        tuner.start(
            data="sklearn:iris",
            space=["optimization"],
            name=name,
            trials=3,
            settings={"search.sampler": "random", **keys},
        )
        tuner.start(data="sklearn:iris", space=["optimization"], name=f"{name}2", trials=2, settings=keys)
        for side in tuner.compare([name, f"{name}2"]).sides:
            assert side.estimate.interval is not None
            low, high = side.estimate.interval
            assert 0 <= low <= side.estimate.value <= high
            assert metric == "val_loss" or high <= 1


def test_an_r2_of_one_training_is_no_share_of_rows() -> None:
    for name in ("a", "b"):
        keys: dict[str, Any] = {
            "objective.metric": "val_score",
            "trainer.executor": "inline",
            "trainer.epochs": 8,
        }
        keys["confirm.auto"] = False
        tuner.start(data="sklearn:diabetes", space=["optimization"], name=name, trials=2, settings=keys)
    assert all(side.estimate.error is None for side in tuner.compare(["a", "b"]).sides)
