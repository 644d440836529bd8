"""What every searcher must do when it is asked: configurations of the space, each once."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.core.space import SearchSpace
from tuner.core.trial import TrialRecord, TrialState
from tuner.testing.searcher.records import exactly
from tuner.testing.searcher.spaces import conditional_space, small_space, spaces
from tuner.testing.searcher.suite import SearcherSuite

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


class AskingContract(SearcherSuite):
    """Trials are numbered in order, begin with the default, and no configuration comes twice."""

    def test_first_trial_is_the_default_configuration(self) -> None:
        first = self.searcher(conditional_space()).ask(1)[0]
        assert first.number == 0
        assert first.params == conditional_space().defaults()

    def test_configurations_belong_to_the_space_and_numbers_are_consecutive(self) -> None:
        space = conditional_space()
        records = self.run(self.searcher(space), self.trials, batch=7)
        assert [r.number for r in records] == list(range(len(records)))
        assert len(records) >= min(self.trials, 40)
        for record in records:
            assert space.faults(record.params) == []
            assert list(record.params) == ["activation", *(n for n, _ in space if n in record.params)]

    def test_values_are_plain_and_have_the_parameters_type(self) -> None:
        records = self.run(self.searcher(conditional_space()), self.trials)
        kinds = {
            name: {type(r.params[name]) for r in records if name in r.params}
            for name, _ in conditional_space()
        }
        assert kinds["rate"] == kinds["momentum"] == {float}
        assert kinds["width"] == kinds["depth"] == kinds["only"] == {int}
        assert kinds["damped"] <= {bool, int}

    @FEW
    @given(space=spaces(), seed=st.integers(0, 3))
    def test_any_space_can_be_searched_without_repeating_a_configuration(
        self, space: SearchSpace, seed: int
    ) -> None:
        if not self.takes_any_space:
            return
        records = self.run(self.searcher(space, seed), 16)
        assert [space.faults(r.params) for r in records] == [[]] * len(records)
        assert len({exactly(r.params) for r in records}) == len(records)

    def test_finite_space_is_used_up_exactly(self) -> None:
        searcher = self.searcher(small_space())
        records = self.run(searcher, 100, batch=2)
        assert len({exactly(r.params) for r in records}) == len(records) == 7
        assert searcher.ask(3) == []

    def test_failed_configuration_is_never_chosen_again(self) -> None:
        searcher = self.searcher(small_space())
        first = searcher.ask(4)
        searcher.tell([TrialRecord(t.number, t.params, TrialState.FAILED) for t in first])
        rest = searcher.ask(10)
        assert len(rest) == 3
        assert not {exactly(t.params) for t in rest} & {exactly(t.params) for t in first}

    def test_seeds_lead_to_different_searches(self) -> None:
        trials = [self.searcher(conditional_space(), seed).ask(10) for seed in (0, 1)]
        assert [t.params for t in trials[0]] != [t.params for t in trials[1]]
