from __future__ import annotations

from dataclasses import replace

import numpy as np

from tuner.core.ports import Job
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.data import from_arrays
from tuner.trainers import resolve
from tuner.trainers.paired import PairedTrainer

SPEC = StudySpec.parse(
    {
        "data": {"source": "memory"},
        "trainer": {"use": "torch", "model": "mlp", "epochs": 2},
        "search": {"seed": 3},
        "space": {"x": {"type": "float", "low": 0.001, "high": 0.1, "default": 0.01}},
    }
)


def job(rows: int = 2) -> Job:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    assert SPEC.data is not None
    data = from_arrays(x, (x[:, 0] > 0).astype(int), SPEC.data, resampling=True)
    return Job(SPEC, data, "cpu", rows, 1)


def trial(number: int) -> Trial:
    return Trial(number, {"learning_rate": 0.01}, 3)


def told(outcome: object) -> tuple[float, ...]:
    assert isinstance(outcome, Reading)
    return outcome.train_loss, outcome.val_loss, outcome.val_score


def test_a_trial_trains_as_it_would_alone_on_the_split_of_its_repeat() -> None:
    paired = PairedTrainer(resolve("torch"), 2).populate(job())
    paired.place(0, trial(1))
    paired.place(1, trial(2))
    found = paired.advance()
    for row, number in ((0, 1), (1, 2)):
        data = job().data
        assert data is not None
        assert data.resampling is not None
        drawn = data.resampling.draw(derive(3, number // 2, "split"))
        alone = resolve("torch").populate(replace(job(), data=drawn))
        alone.place(0, trial(number))
        assert told(found[row]) == told(alone.advance([0])[0])


def test_a_row_goes_on_from_its_snapshot_after_others_took_its_place() -> None:
    paired = PairedTrainer(resolve("torch"), 2).populate(job())
    paired.place(0, trial(0))
    paired.advance()
    snapshot = paired.snapshot(0)
    whole = told(paired.advance()[0])
    paired.clear(0)
    paired.place(0, trial(5))
    paired.advance()
    paired.clear(0)
    paired.place(1, trial(0), snapshot)
    assert told(paired.advance()[1]) == whole


def test_without_anything_to_draw_from_it_is_the_inner_trainer() -> None:
    plain = job()
    assert plain.data is not None
    population = PairedTrainer(resolve("torch"), 2).populate(
        replace(plain, data=replace(plain.data, resampling=None))
    )
    assert type(population) is type(resolve("torch").populate(plain))
