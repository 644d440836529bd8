"""What every searcher must do with what it is told: the same, in any order, before or after a restart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tuner.core.trial import Trial, TrialRecord, TrialState
from tuner.testing.searcher.records import ended, paused
from tuner.testing.searcher.spaces import conditional_space
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
