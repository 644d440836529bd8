"""Curves that are packed say what their rows say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.store.asking import asked
from tuner.core.ports import Turn
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.errors import StoreError
from tuner.store import StudyStore
from tuner.store.columns import Reader
from tuner.store.curves import unpacked

Trials = Callable[..., Trial]
Readings = Callable[..., Reading]
Ended = Callable[..., TrialRecord]
NAN = float("nan")


@pytest.fixture
def extras(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The trainer's own numbers, which are packed in no curve; none unless a test has some."""
    return getattr(request, "param", ())


@pytest.fixture
def mixed(
    store: StudyStore, trial: Trials, reading: Readings, ended: Ended, extras: tuple[str, ...]
) -> StudyStore:
    """Five trials: 0 and 3 are over, so is 4, which has no epoch; 1 runs and 2 is paused."""
    trials = [trial(number) for number in range(5)]

    def read(epoch: int, value: float, f1: float, **more: float) -> Reading:
        return reading(epoch, value, extras=dict.fromkeys(extras, f1), **more)

    curves = [[read(e, 1 / (n + e), 0.5 * e) for e in range(1, 4)] for n in range(4)]
    curves[3][1] = read(2, NAN, 0.25, train_loss=float("inf"), grad_norm=NAN)
    store.record(Turn(started=trials))
    for epoch in range(3):
        store.record(Turn(readings=[(n, curves[n][epoch]) for n in range(4)]))
    store.record(
        Turn(
            ended=[
                ended(trials[3], curves[3], TrialState.STOPPED),
                ended(trials[0], curves[0]),
                ended(trials[4], [], TrialState.FAILED),
            ],
            paused=[ended(trials[2], curves[2], TrialState.PAUSED)],
        )
    )
    return store


def delta(url: str, *extras: str) -> ReadingColumns:
    reader = Reader(url)
    try:
        return reader.delta("nets", names=extras).readings
    finally:
        reader.close()


def same(one: ReadingColumns, other: ReadingColumns) -> None:
    assert one.numbers.keys() == other.numbers.keys()
    for a, b in ((one.number, other.number), (one.epoch, other.epoch)):
        np.testing.assert_array_equal(a, b, strict=True)
    for name, column in one.numbers.items():
        np.testing.assert_array_equal(column, other.numbers[name], strict=True)


@pytest.mark.usefixtures("mixed")
def test_a_curve_is_packed_when_its_trial_ends_and_not_before(url: str) -> None:
    found = dict(asked(url, "SELECT number, readings FROM tuner_curves JOIN trials USING (trial_id)"))
    assert sorted(found) == [0, 3, 4]
    assert unpacked(found[0])[:, :3].tolist() == [[1, 0.25, 1.0], [2, 0.25, 0.5], [3, 0.25, 1 / 3]]
    assert np.isnan(unpacked(found[3])[1, 2])
    assert np.isposinf(unpacked(found[3])[1, 1])
    assert len(unpacked(found[4])) == 0


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("extras", [(), ("f1",)], indirect=True)
def test_packed_curves_and_rows_read_the_same_in_the_same_order(url: str, extras: tuple[str, ...]) -> None:
    both = delta(url)
    assert both.number.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert both.epoch.tolist() == [1, 2, 3] * 4
    assert ("f1" in both.numbers) == bool(extras)
    asked(url, "DELETE FROM tuner_curves WHERE trial_id IN (SELECT trial_id FROM trials WHERE number = 0)")
    same(delta(url), both)
    asked(url, "DELETE FROM tuner_curves")
    same(delta(url), both)
    same(delta(url, *extras), both)


@pytest.mark.usefixtures("mixed")
def test_packed_curves_are_read_in_place_of_rows(url: str) -> None:
    asked(url, "DELETE FROM tuner_epochs WHERE trial_id = (SELECT trial_id FROM trials WHERE number = 3)")
    assert delta(url).number.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


@pytest.mark.usefixtures("mixed")
def test_a_damaged_packed_curve_is_told(url: str) -> None:
    asked(url, "UPDATE tuner_curves SET readings = :four", four=b"1234")
    with pytest.raises(StoreError, match="is damaged"):
        delta(url)


def test_another_studys_curves_are_not_read(
    mixed: StudyStore, database: Any, spec: Any, trial: Trials, reading: Readings, ended: Ended, url: str
) -> None:
    before = delta(url)
    other = database.create_study("other", spec, {})
    other.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    other.record(Turn(ended=[ended(trial(0), [reading(1)])]))
    other.close()
    same(delta(url), before)
    mixed.close()
    database.delete_study("nets")
    assert len(asked(url, "SELECT * FROM tuner_curves")) == 1
