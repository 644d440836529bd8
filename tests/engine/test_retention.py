"""ModelRetention: which models stay."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tuner.core.objectives import Constraint, Objectives
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.engine import ModelRetention
from tuner.testing.executor import artifacts

values = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 0.5, 1.0, 2.0, 3.0])
ends = st.lists(st.tuples(values, st.booleans(), st.booleans()), max_size=25)


def record(
    number: int, value: float | None, conclusive: bool, folder: Path | None, ended_at: str | None = None
) -> TrialRecord:
    path = None if folder is None else str(folder / str(number))
    state = TrialState.FINISHED
    return TrialRecord(number, {}, state, value, conclusive=conclusive, model_path=path, ended_at=ended_at)


@given(ends=ends, keep=st.integers(1, 4), minimize=st.booleans(), order=st.randoms(use_true_random=False))
def test_the_best_models_the_incumbents_and_the_default_stay_and_every_other_folder_goes(
    ends: list[tuple[float | None, bool, bool]], keep: int, minimize: bool, order: object
) -> None:
    objective = Objective(minimize=minimize)
    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        retention = ModelRetention(keep, artifacts(models), objective)
        stored: dict[int, TrialRecord] = {}
        numbers = list(range(len(ends)))
        order.shuffle(numbers)  # type: ignore[attr-defined]
        bests: list[int] = []
        for place, number in enumerate(numbers):
            value, conclusive, written = ends[number]
            beaten = value is None or not conclusive
            if not beaten and all(objective.better(value, ends[n][0]) for n in bests):  # type: ignore[arg-type]
                bests.append(number)
            bar = retention.bar
            wanted = retention.wants(number, math.nan if value is None else value, conclusive=conclusive)
            if written:
                (models / str(number)).mkdir()
            folder = models if written else None
            kept, lost = retention.admit(record(number, value, conclusive, folder, f"{place:02}"))
            stored[number] = kept
            for loser in lost:
                stored[loser] = replace(stored[loser], model_path=None)
            retention.discard(lost)
            if written and value is not None:
                assert wanted == (number not in lost or number == 0)
            if bar is not None and value is not None and objective.better(bar, value) and number != 0:
                assert stored[number].model_path is None, "a model below the bar stayed"

        def rank(number: int) -> tuple[bool, float, int]:
            value, conclusive, _ = ends[number]
            sign = 1 if minimize else -1
            return not conclusive, math.inf if value is None else sign * value, number

        written_ones = sorted((n for n in numbers if ends[n][2]), key=rank)
        expected = {*written_ones[:keep], *(n for n in written_ones if n in (0, *bests))}
        assert {n for n, r in stored.items() if r.model_path is not None} == expected
        assert {path.name for path in models.iterdir()} == {str(n) for n in expected}

        again = ModelRetention(keep, artifacts(models), objective)
        history = [stored[n] for n in sorted(stored)]
        assert again.replay(history) == []
        assert again.bar == retention.bar


def test_what_a_killed_run_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("0", "1", "2", ".writing-1", "2024", "notes"):
        (tmp_path / name).mkdir()
    history = [
        record(0, 1.0, True, tmp_path),
        record(1, 0.5, True, None),
        replace(record(2, None, False, None), state=TrialState.RUNNING),
    ]
    ModelRetention(3, artifacts(tmp_path), Objective()).replay(history)
    assert {path.name for path in tmp_path.iterdir()} == {"0", "notes"}


def test_fewer_models_are_kept_when_the_limit_was_lowered(tmp_path: Path) -> None:
    history = [record(n, float(n), True, tmp_path) for n in range(5)]
    assert sorted(ModelRetention(2, artifacts(tmp_path), Objective()).replay(history)) == [2, 3, 4]


costs = st.sampled_from([0.0, 1.0, 2.0, 3.0])


def weighed(number: int, loss: float, cost: float, folder: Path) -> TrialRecord:
    best = Reading(1, 0.0, loss, extras={"cost": cost, "share": loss})
    path = str(folder / str(number))
    return TrialRecord(number, {}, TrialState.STOPPED, loss, best, 1, model_path=path, ended_at=str(number))


@given(ends=st.lists(st.tuples(costs, costs), max_size=12), keep=st.integers(1, 4))
def test_of_several_objectives_the_undominated_stay_and_a_replay_holds_the_same(
    ends: list[tuple[float, float]], keep: int
) -> None:
    objectives = Objectives((Objective(), Objective("cost")), (Constraint("share", 2.5, is_upper=True),))
    retention = ModelRetention(keep, artifacts(Path("models")), objectives)
    stored: dict[int, TrialRecord] = {}
    for number, (loss, cost) in enumerate(ends):
        full = weighed(number, loss, cost, Path("models"))
        wanted = retention.wants(number, loss, full.best, conclusive=False)
        stored[number], lost = retention.admit(full)
        assert wanted == (number not in lost or number == 0)
        for loser in lost:
            stored[loser] = replace(stored[loser], model_path=None)
        assert retention.bar is None, "one number alone does not say whose model stays"
    kept = {n for n, r in stored.items() if r.model_path is not None}
    assert len(kept - {0}) <= keep
    if best := objectives.best_of(list(stored.values())):
        assert best.number in kept
    if len(ends) <= keep:
        assert len(kept) == len(ends)
    again = ModelRetention(keep, artifacts(Path("models")), objectives)
    assert again.replay([stored[n] for n in sorted(stored)]) == []
    following = weighed(len(ends), 1.0, 1.0, Path("models"))
    assert again.admit(following) == retention.admit(following)
