"""The engine over real worker processes: one dies, the user interrupts, the study goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.engine.parts import CountingSearcher, ListStore, engine
from tuner.core.budget import StudyState
from tuner.core.job import Job, Resources
from tuner.core.ports import Turn
from tuner.core.trial import Trial, TrialState
from tuner.executors import Processes
from tuner.testing.executor import FakeTrainer, artifacts, models_in, study

pytestmark = pytest.mark.usefixtures("forked_workers")


def test_no_trial_is_lost_when_workers_die_and_the_user_interrupts(tmp_path: Path) -> None:
    class Diarist(CountingSearcher):
        def ask(self, count: int) -> Sequence[Trial]:
            return [Trial(t.number, self.params(t.number), t.study_seed) for t in super().ask(count)]

        def params(self, number: int) -> dict[str, float | str | bool]:
            diary: dict[str, float | str | bool] = {
                "diary": str(tmp_path / f"diary-{number}"),
                "loss": number,
            }
            return {**diary, "does": "die", "at": 2, "once": True} if number in (1, 5) else diary

    class Impatient(ListStore):
        patience = 3

        def record(self, *turns: Turn) -> None:
            super().record(*turns)
            if sum(record.state.is_over for record in self.records.values()) >= self.patience:
                raise KeyboardInterrupt

    def executor() -> Processes:
        return Processes(
            FakeTrainer,
            Job(study(), None, rows=2),
            artifacts(tmp_path / "models"),
            resources=[Resources()] * 2,
        )

    store: ListStore = Impatient()
    with pytest.raises(KeyboardInterrupt):
        engine(executor(), store, tmp_path / "models", searcher=Diarist(), keep=2, trials=8).run()
    assert store.end == (StudyState.INTERRUPTED, "stopped by the user")
    store = store.resumed()

    driver = engine(executor(), store, tmp_path / "models", searcher=Diarist(), keep=2, trials=8)
    state, _ = driver.run(store.history(), store.curves, store.seconds)
    assert state is StudyState.FINISHED
    assert sorted(store.records) == list(range(8))
    assert all(record.state is TrialState.FINISHED for record in store.records.values())
    assert all([r.epoch for r in curve] == [1, 2, 3] for curve in store.curves.values())
    assert store.records[1].interruptions >= 1
    # Whoever was the best for a while is kept, too: which trial ends first is the workers' affair.
    kept = models_in(tmp_path / "models") - {"checkpoints"}
    assert kept == {str(n) for n, record in store.records.items() if record.model_path is not None}
    assert {"0", "1"} <= kept
