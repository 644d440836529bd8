"""What every searcher must do with what it is told: the same, in any order, before or after a restart.

The space may have changed since.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.trial import Params, Trial, TrialRecord, TrialState
from tuner.testing.searcher.records import ended, exactly, paused
from tuner.testing.searcher.spaces import changed_spaces, conditional_space
from tuner.testing.searcher.suite import SearcherSuite


class ReplayContract(SearcherSuite):
    """A searcher that is replayed goes on as the first one would."""

    @pytest.mark.parametrize("seed", [0, 1])
    def test_replayed_searcher_goes_on_as_the_first_one_would(self, seed: int) -> None:
        """Trials end, pause, and go on or end after a pause, told anew or not, in any order."""
        space, rng = conditional_space(), random.Random(seed)
        first = self.searcher(space)
        records: dict[int, TrialRecord] = {}
        for batch in [self.trials // 2, *[3, 5] * (self.trials // 16)]:
            trials = self.asked_alike(space, first, records, batch, also_replayed=len(records) != 0)
            records |= {t.number: TrialRecord(t.number, t.params, TrialState.RUNNING) for t in trials}
            told: list[TrialRecord] = []
            for number, record in records.items():
                trial = Trial(number, record.params, 0)
                if record.state is TrialState.RUNNING and rng.random() < 0.8:
                    told += rng.choice([ended, paused, paused])([trial])
                elif record.state is TrialState.PAUSED and rng.random() < 0.3:
                    told += (
                        ended([trial]) if rng.random() < 0.7 else [replace(record, state=TrialState.RUNNING)]
                    )
            rng.shuffle(told)
            first.tell(told)
            records |= {r.number: r for r in told}
        assert any(r.state is TrialState.PAUSED for r in records.values())

    def test_paused_trial_counts_as_one_that_was_cut_there(self) -> None:
        def after(state: TrialState) -> Sequence[Trial]:
            searcher = self.searcher(conditional_space())
            searcher.replay([replace(r, state=state) if r.number in waiting else r for r in history])
            return searcher.ask(2)

        trials = self.searcher(conditional_space()).ask(self.trials)
        waiting = {r.number: r for r in paused(trials) if r.number % 4 == 1}
        history = [waiting.get(r.number, r) for r in ended(trials)]
        assert after(TrialState.PAUSED) == after(TrialState.STOPPED)

    def test_what_a_paused_trial_had_shown_is_void_once_it_is_told_again(self) -> None:
        trials = self.searcher(conditional_space()).ask(self.trials)
        direct, roundabout = self.searcher(conditional_space()), self.searcher(conditional_space())
        direct.replay(ended(trials))
        for records in (paused(trials[::-1]), paused(trials[::3]), ended(trials[::-1])):
            roundabout.tell(records)
        assert roundabout.ask(2) == direct.ask(2)

    def test_order_of_telling_does_not_matter(self) -> None:
        def after(records: list[TrialRecord]) -> Sequence[Trial]:
            searcher = self.searcher(conditional_space())
            searcher.replay(history)
            for record in records:
                searcher.tell([record])
            return searcher.ask(2)

        history = self.run(self.searcher(conditional_space()), self.trials, batch=10)
        running = [Trial(r.number, r.params, 0) for r in history if not r.state.is_over]
        assert len(running) > 3
        assert after(ended(running)) == after(ended(running)[::-1])

    def test_running_trials_of_a_stored_study_can_be_told_later(self) -> None:
        searcher = self.searcher(conditional_space())
        history = self.run(self.searcher(conditional_space()), 20)
        searcher.replay(history)
        running = [Trial(r.number, r.params, 0) for r in history if not r.state.is_over]
        searcher.tell(ended(running))
        assert searcher.ask(1)[0].number == len(history)


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
