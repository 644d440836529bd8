"""Whether "not worse by more than the margin" is claimed rightly, on data with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from tuner.core.objectives import Objectives
from tuner.core.trial import Objective
from tuner.judging.choosing import Candidate, Selection, smallest
from tuner.judging.compressed import Compressed, NonInferiority
from tuner.judging.intervals import Interval
from tuner.judging.measures import Measure, measured, of_losses

DRAWS = 400


def accuracies(generator: Generator, rows: int, accuracy: float, lost: float) -> tuple[Measure, Measure]:
    """Two models on the same rows, of which the second is right on this share and the first on less of it."""
    truth = np.zeros(rows, np.int64)
    right = generator.random(rows) < accuracy
    # Both ways: some rows are gained, more are lost.
    gained = ~right & (generator.random(rows) < 0.2)
    share = (lost + 0.2 * (1 - accuracy)) / accuracy
    after = (right & (generator.random(rows) >= share)) | gained
    return tuple(measured("accuracy", truth, [(~hits).astype(np.int64)]) for hits in (after, right))  # type: ignore[return-value]


def losses(generator: Generator, rows: int, worse: float) -> tuple[Measure, Measure]:
    """Two models whose losses on a row have much in common."""
    common = generator.gamma(0.5, 0.4, rows)
    before = common + generator.gamma(0.5, 0.1, rows)
    after = common + generator.gamma(0.5, 0.1, rows) + worse
    return of_losses([after]), of_losses([before])


def claims(pairs: list[tuple[Measure, Measure]], margin: float, *, falling: bool) -> float:
    """How often it is said that the first one is not worse by more than the margin."""
    tests = (NonInferiority("loss", margin, one.gain(other, falling=falling)) for one, other in pairs)
    return float(np.mean([test.is_shown for test in tests]))


@pytest.mark.parametrize(
    ("rows", "accuracy", "margin"),
    [(150, 0.9, 0.05), (400, 0.95, 0.02), (1000, 0.98, 0.005), (400, 0.99, 0.01)],
)
def test_at_a_true_loss_of_the_margin_not_worse_is_claimed_in_at_most_one_of_twenty(
    rows: int, accuracy: float, margin: float
) -> None:
    generator = np.random.default_rng(0)
    pairs = [accuracies(generator, rows, accuracy, margin) for _ in range(DRAWS)]
    assert claims(pairs, margin, falling=False) <= 0.05


@pytest.mark.parametrize("rows", [150, 1000])
def test_so_it_is_with_losses(rows: int) -> None:
    generator = np.random.default_rng(0)
    pairs = [losses(generator, rows, 0.01) for _ in range(DRAWS)]
    assert claims(pairs, 0.01, falling=True) <= 0.05


def test_what_is_not_worse_is_called_so_where_there_are_rows_enough() -> None:
    generator = np.random.default_rng(0)
    pairs = [accuracies(generator, 4000, 0.97, 0.0) for _ in range(100)]
    assert claims(pairs, 0.01, falling=False) > 0.9


def test_no_difference_seen_is_not_taken_for_not_worse() -> None:
    test = NonInferiority("accuracy", 0.005, Interval(0.0, -0.012, 0.012))
    assert not test.is_shown
    (said, _, told) = Compressed((test, test), 1000, 4000, 0.02, 0.04, False).sentences()
    assert "4 times smaller (1 kB, not 4) and 2 times quicker (0.02 ms a row, not 0.04)" in said
    assert told == (
        "On the locked rows its accuracy is the same (95 % interval -1.2 to 1.2 points): "
        '"not worse by more than 0.5 points" is not shown.'
    )
    few = NonInferiority("accuracy", 0.005, Interval(0.0, -0.012, 0.012), 350)
    assert [*Compressed((few,), 1000, 4000, 0.02, 0.04, False).sentences()][1].endswith(
        "is not shown; 350 rows are few for that, some 2,000 would tell."
    )


def test_what_is_shown_is_said_with_its_interval() -> None:
    score = NonInferiority("accuracy", 0.005, Interval(-0.001, -0.004, 0.002))
    loss = NonInferiority("loss", 0.01, Interval(0.002, -0.004, 0.006))
    _, first, second = Compressed((score, loss), 1000, 4000, 0.03, 0.02, True).sentences()
    assert first == (
        "On the locked rows its accuracy is worse by 0.1 points (95 % interval -0.4 to 0.2 points): "
        "not worse by more than 0.5 points."
    )
    assert second == (
        "On the locked rows its loss is better by 0.002 (95 % interval -0.004 to 0.006): "
        "not worse by more than 0.01."
    )


def test_what_is_shown_to_be_worse_is_not_put_down_to_few_rows() -> None:
    """Before: "not worse by more than 0.5 points" is not shown; 359 rows are few for that."""
    worse = NonInferiority("accuracy", 0.005, Interval(-0.028, -0.048, -0.008), 359)
    told = [*Compressed((worse,), 1000, 4000, 0.03, 0.02, True).sentences()][1]
    assert told == (
        "On the locked rows its accuracy is worse by 2.8 points (95 % interval -4.8 to -0.8 points): more "
        "than 0.5 points; a larger model may lose less."
    )


def test_what_keeps_its_size_is_called_as_large() -> None:
    (made, _) = Compressed((), 14_254, 14_254, 0.03, 0.02, True).sentences()
    assert "as onnxruntime runs both: as large (14.3 kB) and as quick (0.03 ms a row" in made
    (made, _) = Compressed((), 1_235_567, 1_234_567, 0.0301, 0.03, False).sentences()
    assert "as large (1,236 kB) and as quick (0.0301 ms a row, not 0.03)" in made


def test_without_locked_rows_nothing_is_claimed() -> None:
    made, told = Compressed((), 4000, 1000, 0.03, 0.02, True).sentences()
    assert "4 times larger" in made
    assert "as quick (0.03 ms a row, not 0.02, which noise covers)" in made
    assert "was not tested" in told


def test_smallest_of_those_that_keep_the_constraints_is_recommended() -> None:
    objectives = Objectives((Objective("val_loss", True), Objective("size_bytes[onnx]", True)))
    rivals = [
        Candidate(n, 0.1, (0.1,), measured={"size_bytes[onnx]": size}) for n, size in ((3, 9.0), (5, 4.0))
    ]
    found = smallest(Selection(3, 3, (3,), ()), rivals, objectives)
    assert (found.winner, found.recommended) == (3, 5)
