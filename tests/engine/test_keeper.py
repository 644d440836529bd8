"""Keeper: which models stay."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tuner.core.trial import Objective, TrialRecord, TrialState
from tuner.engine import Keeper

values = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 0.5, 1.0, 2.0, 3.0])
ends = st.lists(st.tuples(values, st.booleans(), st.booleans()), max_size=25)


def record(number: int, value: float | None, conclusive: bool, folder: Path | None) -> TrialRecord:
    path = None if folder is None else str(folder / str(number))
    return TrialRecord(number, {}, TrialState.FINISHED, value, conclusive=conclusive, model_path=path)


@given(ends=ends, keep=st.integers(1, 4), minimize=st.booleans(), order=st.randoms(use_true_random=False))
def test_the_best_models_and_the_default_stay_and_every_other_folder_goes(
    ends: list[tuple[float | None, bool, bool]], keep: int, minimize: bool, order: object
) -> None:
    objective = Objective(minimize=minimize)
    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        keeper = Keeper(keep, models, objective)
        stored: dict[int, TrialRecord] = {}
        numbers = list(range(len(ends)))
        order.shuffle(numbers)  # type: ignore[attr-defined]
        for number in numbers:
            value, conclusive, written = ends[number]
            bar = keeper.bar
            wanted = keeper.wants(number, math.nan if value is None else value, conclusive=conclusive)
            if written:
                (models / str(number)).mkdir()
            kept, lost = keeper.admit(record(number, value, conclusive, models if written else None))
            stored[number] = kept
            for loser in lost:
                stored[loser] = replace(stored[loser], model_path=None)
            keeper.discard(lost)
            if written and value is not None:
                assert wanted == (number not in lost or number == 0)
            if bar is not None and value is not None and objective.better(bar, value) and number != 0:
                assert stored[number].model_path is None, "a model below the bar stayed"

        def rank(number: int) -> tuple[bool, float, int]:
            value, conclusive, _ = ends[number]
            sign = 1 if minimize else -1
            return not conclusive, math.inf if value is None else sign * value, number

        written_ones = sorted((n for n in numbers if ends[n][2]), key=rank)
        expected = {*written_ones[:keep], *(n for n in written_ones if n == 0)}
        assert {n for n, r in stored.items() if r.model_path is not None} == expected
        assert {path.name for path in models.iterdir()} == {str(n) for n in expected}

        again = Keeper(keep, models, objective)
        history = [stored[n] for n in sorted(stored)]
        assert again.replay(history) == []
        assert again.bar == keeper.bar


def test_what_a_killed_run_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("0", "1", "2", ".writing-1", "2024", "notes"):
        (tmp_path / name).mkdir()
    history = [
        record(0, 1.0, True, tmp_path),
        record(1, 0.5, True, None),
        replace(record(2, None, False, None), state=TrialState.RUNNING),
    ]
    Keeper(3, tmp_path, Objective()).replay(history)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "2024", "notes"}


def test_fewer_models_are_kept_when_the_limit_was_lowered(tmp_path: Path) -> None:
    history = [record(n, float(n), True, tmp_path) for n in range(5)]
    assert sorted(Keeper(2, tmp_path, Objective()).replay(history)) == [2, 3, 4]
