"""The searcher under test, and how it is asked and told."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.core.ports import Searcher
from tuner.core.space import SearchSpace
from tuner.core.trial import Trial, TrialRecord, TrialState
from tuner.testing.searcher.records import ended


class SearcherSuite:
    """What the suites of searchers share."""

    trials = 60
    """How many trials the longer tests ask for."""

    takes_any_space = True
    """Whether a space of any size can be searched, at little cost."""

    def searcher(self, space: SearchSpace, seed: int = 0) -> Searcher:
        """A searcher that knows nothing yet; it minimizes."""
        raise NotImplementedError

    def run(self, searcher: Searcher, trials: int, batch: int = 4) -> list[TrialRecord]:
        """Ask and tell; the last batch is left running."""
        records: list[TrialRecord] = []
        running: list[Trial] = []
        while len(records) + len(running) < trials:
            told = ended(running)
            searcher.tell(told)
            records += told
            running = list(searcher.ask(batch))
            if not running:
                break
        return records + [TrialRecord(t.number, t.params, TrialState.RUNNING) for t in running]

    def asked_alike(
        self,
        space: SearchSpace,
        searcher: Searcher,
        records: Mapping[int, TrialRecord],
        count: int,
        *,
        also_replayed: bool = True,
    ) -> list[Trial]:
        """Ask a searcher, and a fresh one that is replayed with what the other was told."""
        second = self.searcher(space)
        second.replay([records[number] for number in sorted(records)])
        trials = list(searcher.ask(count))
        if also_replayed:
            assert list(second.ask(count)) == trials
        return trials
