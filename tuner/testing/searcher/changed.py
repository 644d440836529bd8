"""What every searcher must do with the history of a space that has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.trial import Params, Trial, TrialRecord, TrialState
from tuner.testing.searcher.records import ended, exactly, paused
from tuner.testing.searcher.spaces import changed_spaces, conditional_space
from tuner.testing.searcher.suite import SearcherSuite


class ChangedSpaceContract(SearcherSuite):
    """Old trials count as far as they still fit, and are never repeated."""

    def lived(self, space: SearchSpace) -> list[TrialRecord]:
        """A study that rests: most trials are over, some paused or running."""
        trials = self.searcher(space, seed=1).ask(min(self.trials, 30))
        records = {r.number: r for r in [*ended(trials), *paused(trials[5::7])]}
        running = {t.number: TrialRecord(t.number, t.params, TrialState.RUNNING) for t in trials[6::7]}
        return list((records | running).values())

    @pytest.mark.parametrize("change", sorted(changed_spaces()))
    def test_space_may_have_changed_since_the_history_was_made(self, change: str) -> None:
        space = changed_spaces()[change]
        history = self.lived(conditional_space())
        searcher = self.searcher(space)
        searcher.replay(history)
        known = {r.number: r for r in history}
        for count in (3, 1):
            trials = self.asked_alike(space, searcher, known, count)
            assert [t.number for t in trials] == list(range(len(known), len(known) + count))
            assert [space.faults(t.params) for t in trials] == [[]] * count
            assert not {exactly(t.params) for t in trials} & {exactly(r.params) for r in known.values()}
            told = [*ended(trials[1:]), *paused(trials[:1])]
            searcher.tell(told)
            known |= {r.number: r for r in told}

    @pytest.mark.parametrize("change", sorted(changed_spaces()))
    def test_what_trials_outside_of_the_space_were_worth_does_not_matter(self, change: str) -> None:
        def after(records: list[TrialRecord]) -> Sequence[Trial]:
            searcher = self.searcher(space)
            searcher.replay(records)
            return searcher.ask(2)

        space = changed_spaces()[change]
        history = self.lived(conditional_space())
        other = [r if self.fits(r.params, space) else self.otherwise(r) for r in history]
        assert other != history or change not in ("narrowed", "fixed", "activated")
        assert after(other) == after(history)

    def fits(self, params: Params, space: SearchSpace) -> bool:
        """Whether every value lies in the space where it still has the parameter."""
        parameters = {n: Choice(choices=(v,), default=v) for n, v in space.fixed.items()} | dict(space)
        return all(parameters[n].contains(v) for n, v in params.items() if n in parameters)

    def otherwise(self, record: TrialRecord) -> TrialRecord:
        """The same trial with another fate."""
        worse = replace(record, state=TrialState.FINISHED, conclusive=True, epochs=9, value=-9.0)
        return worse if record.number % 2 else replace(worse, state=TrialState.FAILED, value=None)

    def test_parameter_that_is_new_counts_with_its_default(self) -> None:
        searcher = self.searcher(changed_spaces()["gained"])
        searcher.replay(
            [TrialRecord(0, conditional_space().defaults(), TrialState.FINISHED, 1.0, conclusive=True)]
        )
        trials = searcher.ask(9)
        assert changed_spaces()["gained"].defaults() not in [t.params for t in trials]
        assert [t.number for t in trials] == list(range(1, 10))

    def test_history_of_quite_another_space_is_taken_in(self) -> None:
        other = SearchSpace.compose(
            {
                "rate": Choice(choices=("low", "high"), default="low"),
                "width": Float(low=0.0, high=1.0, default=0.5),
                "gone": Int(low=0, high=5, default=0),
            }
        )
        history = self.run(self.searcher(other), 9)
        searcher = self.searcher(conditional_space())
        searcher.replay(history)
        records = self.run(searcher, 12)
        assert [r.number for r in records] == list(range(len(history), len(history) + len(records)))
        assert [conditional_space().faults(r.params) for r in records] == [[]] * len(records)
