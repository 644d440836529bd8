from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest

from benchmarks.courses import WARM_UP, Course, of_script, of_tuner
from benchmarks.processes import Ran
from benchmarks.throughput import Must, Reach

RAN = Ran(began=100.0, wall_s=70.0, memory_mb=1.0, output="", cpu_s=1.0)


def course(trials: int = 40, of: int = 40, pace: float = 1.0, accuracy: float = 0.9) -> Course:
    """A trial each 1 / pace seconds from 105 on, with two epochs each."""
    starts = [105 + number / pace for number in range(trials)]
    epochs = [(start + share / pace, accuracy) for start in starts for share in (0.4, 0.9)]
    return Course.of(RAN, starts, epochs, of)


def test_steady_state_leaves_out_the_warm_up_and_the_tail() -> None:
    slow_start = [0.0, *(50.0 + 0.5 * number for number in range(39))]
    found = Course.of(RAN, slow_start, [(start + 0.2, 0.5) for start in slow_start] + [(500.0, 0.5)], 40)
    assert found.trials_per_s == pytest.approx(2)
    assert found.epochs_per_s == pytest.approx(2)


def test_too_few_trials_have_no_steady_state() -> None:
    assert math.isnan(course(trials=2 * WARM_UP - 1).trials_per_s)
    assert course(trials=2 * WARM_UP).trials_per_s == pytest.approx(1)


def test_a_course_that_was_cut_short_tells_the_whole_process_from_its_pace() -> None:
    assert course(trials=40, of=40).whole_s == RAN.wall_s
    cut = course(trials=20, of=300)
    assert not cut.is_whole
    assert cut.whole_s == pytest.approx(5 + 300 * 19.9 / 20)


def test_an_accuracy_that_was_never_reached_takes_for_ever() -> None:
    assert course(accuracy=0.98).reached_s(0.98) == pytest.approx(0.4)
    assert math.isinf(course(accuracy=0.97).reached_s(0.98))


def test_ratios_are_paired_and_told_with_their_range() -> None:
    must = Must("trials per second", 30, lambda c: c.trials_per_s)
    ours, theirs = [course(pace=10), course(pace=20), course(pace=30)], [course(), course(), course()]
    assert must.told(ours, theirs) == "20.0 (10.0-30.0) times"


def test_an_accuracy_that_only_we_reach_is_a_lower_bound() -> None:
    reach = Reach("time to 98 %", 8, 0.98)
    never, soon = course(accuracy=0.9), course(accuracy=0.98)
    assert reach.told([soon], [never]) == "> 99.7 times"  # 39.9 s / 0.4 s
    assert reach.told([never], [soon]) == "never reached by us"


def test_both_sides_records_are_read(tmp_path: Path) -> None:
    clock, database = tmp_path / "clock.json", tmp_path / "study.db"
    clock.write_text(
        json.dumps({"starts": {"0": 101, "1": 102}, "epochs": [[103, 0, 0.5, 1.0], [104, 1, 0.75, 0.9]]})
    )
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE trials (datetime_start TEXT, state TEXT)")
    connection.execute("CREATE TABLE trial_user_attributes (key TEXT, value_json TEXT)")
    rows = [("1970-01-01 00:01:41.000000", "COMPLETE"), ("1970-01-01 00:01:42.000000", "PRUNED")]
    connection.executemany("INSERT INTO trials VALUES (?, ?)", [*rows, (None, "WAITING")])
    curves = [[[1.0, 1.0, 0.4, 0.5, 103]], [[1.0, 0.9, 0.8, 0.75, 104]]]
    texts = [("curve", json.dumps(curve)) for curve in curves]
    connection.executemany("INSERT INTO trial_user_attributes VALUES (?, ?)", texts)
    connection.commit()
    connection.close()
    ours, theirs = of_tuner(RAN, clock, 2), of_script(RAN, database, 2)
    assert ours == theirs
    assert ours.startup_s == 1
    assert list(ours.epochs) == [(2, 0.5), (3, 0.75)]
