from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import TrialState
from tuner.figures import LIGHT
from tuner.figures.timeline import data, draw, fullness, laid

_SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=25)


def times(start: int, end: int | None, **more: Any) -> dict[str, Any]:
    def clock(second: int) -> str:
        return f"2026-01-01T00:00:{second:02d}+00:00"

    return {"started_at": clock(start), "ended_at": None if end is None else clock(end), **more}


@given(_SPANS)
def test_bars_in_a_row_never_overlap_and_no_row_is_needless(spans: list[Any]) -> None:
    spans = sorted(spans)
    start = np.array([begun for begun, _ in spans], dtype=float)
    end = start + [length for _, length in spans]
    rows = laid(start, end)
    for row in range(rows.max() + 1):
        mine = np.flatnonzero(rows == row)
        assert (start[mine][1:] >= end[mine][:-1]).all()
    at_once = max(((start <= moment) & (end > moment)).sum() for moment in start)
    assert rows.max() + 1 == at_once


@given(_SPANS)
def test_fullness_adds_up_to_the_time_that_was_trained(spans: list[Any]) -> None:
    start = np.array([begun for begun, _ in spans], dtype=float)
    length = np.array([long for _, long in spans], dtype=float)
    edges = np.linspace(0, 40, 11)
    found = fullness(start, start + length, edges)
    assert (found * np.diff(edges)).sum() == pytest.approx(length.sum())


def test_rows_times_and_reasons_are_told() -> None:
    facts = {
        0: times(0, 10),
        1: times(0, 5, state=TrialState.STOPPED, rule="pruner", reason="too bad", conclusive=False),
        2: times(5, 20, interruptions=2),
    }
    found = data(frame(losses(1.0, 2.0, 3.0), facts))
    assert found.rows == 2
    assert found.row.tolist() == [0, 1, 1]
    assert found.unit == "seconds"
    assert found.end.tolist() == [10.0, 5.0, 20.0]
    assert found.reason == ("finished", "pruner: too bad", "started again 2 times")
    assert found.filled[0] == pytest.approx(2.0)
    assert found.filled[-1] == pytest.approx(1.0)


def test_a_trial_under_way_reaches_to_the_latest_moment_that_is_known() -> None:
    facts = {0: times(0, 10), 1: times(4, None, state=TrialState.RUNNING)}
    found = data(frame(losses(1.0, 2.0), facts))
    assert found.end.tolist() == [10.0, 10.0]
    assert found.kind.tolist() == ["finished", "running"]


def test_a_long_reason_is_told_in_short_lines() -> None:
    facts = {0: times(0, 1, rule="<i>", reason="word " * 100)}
    (text,) = (text for text in draw(data(frame(losses(1.0), facts)), LIGHT)["data"][0]["text"] if text)
    lines = text.split("<br>")
    assert len(lines) == 4
    assert lines[0].startswith("&lt;i&gt;: word")
    assert lines[3].endswith("…")


def test_only_the_last_trials_and_the_selected_are_drawn() -> None:
    made = frame(losses(*[1.0] * 50), {n: times(n, n + 1) for n in range(50)}).selecting([3])
    found = data(made, last=20)
    assert found.number.tolist() == [3, *range(30, 50)]
    assert found.total == 50


def four(seconds: float = 1.0) -> list[Any]:
    return curve([1.0] * 4, [1.0] * 4, seconds)


def test_paused_trials_do_not_train_and_idle_time_is_seen() -> None:
    pruned = {"state": TrialState.STOPPED, "rule": "pruner", "conclusive": False}
    # The second is paused at epoch 2 and never goes on; the first waits there while it trains, and longer.
    facts = {0: times(0, 10), 1: times(2, 10, **pruned), 2: times(10, 14)}
    study = replace(frame({0: four(), 1: four()[:2], 2: four()}, facts), pauses=True)
    found = data(study)
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    assert found.unit == "seconds"
    for begins, ends, count in ((0, 2, 1), (2, 4, 1), (4, 8, 0), (8, 10, 1)):
        within = (middles > begins + 0.1) & (middles < ends - 0.1)
        assert found.filled[within] == pytest.approx(count), (begins, ends)
    assert found.rows == 2, "bars are as long as before"
    stops = data(replace(study, pauses=False))
    within = (middles > 4.1) & (middles < 9.9)
    assert stops.filled[within] == pytest.approx(2), "a pruner that only stops lets none wait"


def test_trials_that_share_the_time_take_longer_than_their_seconds() -> None:
    pruned = {"state": TrialState.STOPPED, "rule": "pruner", "conclusive": False}
    # Three side by side train for six seconds, of which each has a third; then three more.
    facts = {n: times(6 * (n // 3), 12, **pruned) for n in range(6)}
    found = data(replace(frame({n: four(0.5) for n in range(6)}, facts), pauses=True))
    assert found.filled == pytest.approx(3.0)


def test_trials_without_a_start_are_told() -> None:
    found = data(frame(losses(1.0, 2.0), {0: times(0, 1), 1: {"state": TrialState.WAITING}}))
    assert found.missing == "left out: 1 waiting"
