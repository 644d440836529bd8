"""How long a search has brought nothing, and the study that ends with that."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.engine.parts import ListStore, engine
from tests.engine.test_loop import Steady
from tuner.core.budget import StudyState
from tuner.core.objectives import Objectives
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.engine.gains import GainWatch


def trial(number: int, value: float | None, error: float = 0.0, *, conclusive: bool = True) -> TrialRecord:
    extras = {"val_loss_se": error} if error else {}
    best = None if value is None else Reading(1, value, value, extras=extras)
    state = TrialState.FAILED if value is None else TrialState.FINISHED
    return TrialRecord(number, {}, state, value, best, conclusive=conclusive)


def watch(*records: TrialRecord) -> GainWatch:
    found = GainWatch(Objectives.of(Objective()))
    for record in random.Random(0).sample(records, len(records)):
        found.add(record)
    return found


def test_trials_since_the_last_gain_are_counted_by_number_whatever_ended_first() -> None:
    values = [0.9, 0.5, 0.7, 0.5, None, 0.6]
    found = watch(*(trial(number, value) for number, value in enumerate(values)))
    assert found.reason(5) is None
    assert found.reason(4) == "4 trials brought no gain over trial 1, whose val_loss is 0.5"


def test_a_gain_within_the_measured_noise_is_none_but_several_small_ones_add_up() -> None:
    small = [trial(0, 0.50, 0.03), trial(1, 0.48, 0.03), trial(2, 0.47, 0.03)]
    assert watch(*small).reason(2) == (
        "2 trials brought no gain beyond its standard error of 0.03 over trial 0, whose val_loss is 0.5"
    )
    assert watch(*small, trial(3, 0.44, 0.03)).reason(2) is None
    assert watch(trial(0, 0.50), trial(1, 0.48), trial(2, 0.47)).reason(1) is None


def test_a_trial_that_was_cut_short_is_no_gain() -> None:
    assert watch(trial(0, 0.5), trial(1, 0.1, conclusive=False)).reason(1) is not None


@pytest.mark.parametrize("rows", [1, 3])
def test_a_study_ends_when_so_many_trials_brought_nothing_and_says_so(tmp_path: Path, rows: int) -> None:
    class Flat(Steady):
        def loss(self, number: int, epoch: int) -> float:
            return 1.0 if number < 2 else 0.25 if number == 2 else 0.5

    store = ListStore()
    state, reason = engine(Flat(rows=rows), store, tmp_path, patience=6, trials=100).run()
    assert state is StudyState.FINISHED
    assert "trials brought no gain over trial 2, whose val_loss is 0.25" in reason
    assert 9 <= len(store.records) <= 9 + rows - 1
    assert all(record.state is TrialState.FINISHED for record in store.records.values())
    again = store.resumed()
    assert engine(Flat(rows=rows), again, tmp_path, patience=6, trials=100).run(
        again.history(), again.curves
    ) == (state, reason)
