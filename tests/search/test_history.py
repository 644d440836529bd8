from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.searcher import conditional_space, ended
from tuner.core.space import Float, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Params, TrialRecord, TrialState
from tuner.search import OptunaSearcher
from tuner.search.history import History

LINE = SearchSpace.compose({"x": Float(low=0.0, high=1.0, default=0.0)})


def record(number: int, state: TrialState = TrialState.STOPPED, **known: object) -> TrialRecord:
    return TrialRecord(number, {"x": 0.5}, state, **known)  # type: ignore[arg-type]


def test_cut_trials_rank_behind_finished_ones_by_epochs_then_value() -> None:
    history = History(LINE, Objective("val_score", minimize=False))
    told = [
        record(0, TrialState.FINISHED, value=0.1),
        record(1, value=0.9, epochs=3),
        record(2, value=0.8, epochs=9),
        record(3, value=0.95, epochs=3),
        record(4, value=None, epochs=20),
        record(5, value=0.99, epochs=20, rule="divergence"),
        record(6, value=0.5, epochs=1, conclusive=True),
        record(7, TrialState.FAILED),
        record(8, TrialState.FINISHED, value=math.nan),
    ]
    for each in told:
        history.add(each)
    ranks = sorted(o.rank for o in history.window(0, 100))
    assert [rank[-1] for rank in ranks] == [6, 0, 2, 3, 1, 4, 5, 8]
    assert [o.number for o in history.valued(10, 10)] == [0, 6]
    assert history.values == 2
    assert history.is_over(7)
    assert history.get(7) is None


@given(seed=st.integers(0, 50))
def test_order_in_which_trials_are_told_is_of_no_account(seed: int) -> None:
    def known(records: list[TrialRecord]) -> list[str]:
        history = History(conditional_space(), Objective())
        for each in records:
            history.add(each)
        return [repr(o) for o in history.window(3, 5)]

    trials = OptunaSearcher(conditional_space(), SearchSpec(sampler="random"), Objective()).ask(20)
    records = ended(trials, seed)
    shuffled = random.Random(seed).sample(records, len(records))
    again = [TrialRecord(r.number, r.params, TrialState.RUNNING) for r in records]
    assert known(records) == known(shuffled) == known(again + shuffled + shuffled[:5])


def test_only_the_parameters_of_the_space_are_numbers() -> None:
    history = History(conditional_space(), Objective())
    params: Params = {"rate": 5.0, "method": "sgd", "momentum": 1, "damped": 1, "width": 20, "gone": 3}
    history.add(TrialRecord(0, params, TrialState.FINISHED, value=1.0))
    (seen,) = history.window(0, 1)
    names = [name for name, _ in conditional_space()]
    assert {n: v for n, v in zip(names, seen.row.tolist(), strict=True) if not math.isnan(v)} == {
        "method": 0.0,
        "damped": 2.0,
        "width": 20.0,
    }
