from __future__ import annotations

from tuner.core.frame import Frame
from tuner.core.objectives import Constraint, Objectives
from tuner.core.space import Float, SearchSpace
from tuner.core.trial import Objective, Origin, Reading, TrialRecord, TrialState


def imported(number: int, value: float) -> TrialRecord:
    best = Reading(1, value, value)
    return TrialRecord(number, {"x": 0.5}, TrialState.FINISHED, value, best, 1, origin=Origin.IMPORTED)


def test_an_imported_trial_is_shown_and_never_the_best() -> None:
    space, objectives = SearchSpace.compose({"x": Float(0, 1)}), Objectives.of(Objective())
    records = [TrialRecord(0, {"x": 0.5}, TrialState.WAITING), imported(1, 0.3), imported(2, 0.2)]
    frame = Frame.of(records, {}, space, objectives)
    assert frame.best is None
    assert objectives.best_of(records) is None
    assert not len(frame.front)
    assert frame.standing.tolist() == [False, True, True]
    stopped = Reading(1, 0.4, 0.4)
    records[0] = TrialRecord(0, {"x": 0.5}, TrialState.STOPPED, 0.4, stopped, 1)
    assert Frame.of(records, {}, space, objectives).best == 0


def test_an_imported_trial_is_not_in_the_way_of_the_best() -> None:
    limit = Constraint("gap", 0.1, is_upper=True)
    space, objectives = SearchSpace.compose({"x": Float(0, 1)}), Objectives((Objective(),), (limit,))
    over_fits = Reading(1, 0.1, 0.4)
    own = TrialRecord(0, {"x": 0.5}, TrialState.FINISHED, 0.4, over_fits, 1, True)
    records = [own, imported(1, 0.3)]
    assert objectives.best_of(records) == own
    frame = Frame.of(records, {}, space, objectives)
    assert frame.best == 0
    assert frame.rivals.tolist() == [True, False]
