"""Several objectives and constraints: what samplers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from tuner.core.objectives import Constraint, Objectives, layers
from tuner.core.space import Float, SearchSpace
from tuner.core.spec import SearchSpec, StudySpec
from tuner.core.trial import Objective, Reading, Trial, TrialRecord, TrialState
from tuner.search import OptunaSearcher, faults, fronts
from tuner.search.history import History

PAIR = (Objective("val_loss"), Objective("cost"))
LIMIT = Constraint("share", 0.6, is_upper=True)
SPACE = SearchSpace.compose({f"x{i}": Float(low=0.0, high=1.0, default=0.5) for i in range(5)})
points = st.lists(st.tuples(*[st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0])] * 2), min_size=1, max_size=30)


def trained(trial: Trial, state: TrialState = TrialState.FINISHED, epochs: int = 9) -> TrialRecord:
    """ZDT1 (Zitzler et al. 2000): x0 trades val_loss against cost, the others should be 0."""
    first, *others = (float(trial.params[name]) for name in SPACE.parameters)
    far = 1 + 9 * sum(others) / len(others)
    cost = far * (1 - (first / far) ** 0.5)
    best = Reading(1, 0.0, first, extras={"cost": cost, "share": first})
    over = state is not TrialState.STOPPED
    return TrialRecord(trial.number, trial.params, state, first, best, epochs, over)


def searched(sampler: str, objectives: Objectives, seed: int, count: int = 60) -> list[TrialRecord]:
    searcher = OptunaSearcher(
        SPACE, SearchSpec.model_validate({"sampler": sampler, "seed": seed}), objectives
    )
    records: list[TrialRecord] = []
    while len(records) < count:
        fresh = [trained(trial) for trial in searcher.ask(4)]
        searcher.tell(fresh)
        records += fresh
    return records


def volume(records: Sequence[TrialRecord], objectives: Objectives) -> float:
    reached = [objectives.losses(r) for r in records if not objectives.violation(r.best)]
    return float(compute_hypervolume(np.minimum(np.array(reached), 11.0), np.array([11.0, 11.0])))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("bounds", [(), (LIMIT,)], ids=["free", "constrained"])
def test_the_front_spans_more_than_that_of_chance(sampler: str, bounds: tuple[Constraint, ...]) -> None:
    objectives = Objectives(PAIR, bounds)
    seeds = range(5)
    found = median(volume(searched(sampler, objectives, seed), objectives) for seed in seeds)
    by_chance = median(volume(searched("random", objectives, seed), objectives) for seed in seeds)
    assert found > by_chance


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_a_constraint_is_met_more_often_than_by_chance(sampler: str) -> None:
    tight = Objectives((Objective("cost"),), (Constraint("share", 0.2, is_upper=True),))

    def met(name: str) -> int:
        records = [r for seed in range(3) for r in searched(name, tight, seed)]
        return sum(not tight.violation(r.best) for r in records)

    assert met(sampler) > met("random")


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "cmaes", "random", "qmc", "grid"])
def test_a_searcher_that_replays_goes_on_as_the_one_before(sampler: str) -> None:
    objectives = Objectives(PAIR if sampler != "cmaes" else PAIR[:1], (LIMIT,))
    spec = SearchSpec.model_validate({"sampler": sampler, "grid_points": 3, "startup_trials": 5})
    first = OptunaSearcher(SPACE, spec, objectives)
    records: list[TrialRecord] = []
    for turn in range(12):
        states = [TrialState.FINISHED, TrialState.STOPPED, TrialState.PAUSED, TrialState.FINISHED]
        fresh = [trained(t, s, 1 + turn % 3) for t, s in zip(first.ask(4), states, strict=True)]
        first.tell(fresh[::-1])
        records += fresh
    again = OptunaSearcher(SPACE, spec, objectives)
    again.replay(records)
    assert again.ask(6) == first.ask(6)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_a_single_objective_as_goals_draws_exactly_as_before(sampler: str) -> None:
    spec = SearchSpec.model_validate({"sampler": sampler, "startup_trials": 5})
    drawn = []
    for objective in (Objective("cost"), Objectives((Objective("cost"),))):
        searcher = OptunaSearcher(SPACE, spec, objective)
        for _ in range(6):
            searcher.tell([trained(trial) for trial in searcher.ask(4)])
        drawn.append(searcher.ask(2))
    assert drawn[0] == drawn[1]


def test_those_that_violate_rank_behind_those_cut_short_and_before_those_without_a_value() -> None:
    history = History(SPACE, Objectives(PAIR[:1], (LIMIT,)))
    params = [{**SPACE.defaults(), "x0": x} for x in (0.9, 0.7, 0.5, 0.4, 0.3)]
    for number, each in enumerate(params):
        state = TrialState.STOPPED if number == 3 else TrialState.FINISHED
        record = trained(Trial(number, each, 0), state, 1)
        history.add(record if number < 4 else TrialRecord(4, each, TrialState.STOPPED, epochs=3))
    places = history.places()
    assert sorted(places, key=lambda number: places[number]) == [2, 3, 1, 0, 4]


@given(points=points, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_chosen_are_whole_layers_and_part_of_the_next(
    points: list[tuple[float, ...]], data: st.DataObject
) -> None:
    losses = np.array(points)
    count = data.draw(st.integers(1, len(points)))
    layer = layers(losses)
    worst = sorted(layer)[count - 1]
    for chosen in (fronts.best(losses, count), fronts.fittest(losses, count)):
        assert len({*chosen}) == count
        assert {i for i, each in enumerate(layer) if each < worst} <= {*chosen}
        assert all(layer[i] <= worst for i in chosen)


def test_of_a_layer_those_are_chosen_that_span_most() -> None:
    losses = np.array([[0.0, 1.0], [0.01, 0.99], [0.3, 0.3], [0.99, 0.01], [1.0, 0.0]])
    assert 2 in fronts.best(losses, 1)
    assert sorted(fronts.fittest(losses, 3)[:2]) == [0, 4]


@pytest.mark.parametrize(
    ("objective", "sampler", "words"),
    [
        ({"also": {"gap": "minimize"}}, "gp", "objective.also: the sampler 'gp' knows one objective"),
        ({"also": {"gap": "minimize"}}, "cmaes", "objective.also: the sampler 'cmaes' knows one objective"),
        ({"at_most": {"gap": 1}}, "gp", "the sampler 'gp' knows no constraints"),
        ({"at_most": {"gap": 1}}, "tpe", None),
        ({}, "gp", None),
    ],
)
def test_goals_that_a_sampler_does_not_know_are_told(
    objective: dict[str, Any], sampler: str, words: str | None
) -> None:
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}
    found = faults(StudySpec.parse({"objective": objective, "search": {"sampler": sampler}, "space": space}))
    assert (not found) if words is None else words in found[0]
