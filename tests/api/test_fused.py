"""Fused training through the public API: who gets it, who does not and why, and that it repeats."""

from __future__ import annotations

from typing import Any

import pytest

import tuner

EPOCHS = {"trainer.epochs": 9}
ROWS = {**EPOCHS, "trainer.rows": 4}


def table(study: tuner.Study) -> list[tuple[Any, ...]]:
    return [(r.number, dict(r.params), r.state, r.value, r.epochs, r.reason) for r in study.records]


def note(study: tuner.Study) -> str:
    return str(study.summary.facts["notes"][-1])


def test_shipped_network_trains_fused_without_being_asked() -> None:
    study = tuner.start("digits", trials=12, settings=EPOCHS)
    rows = study.summary.facts["rows"]
    assert rows >= 2
    assert note(study) == f"trains: {rows} rows, fused"
    assert study.summary.counts["failed"] == 0
    reading = study.best.reading
    assert reading is not None
    assert reading.val_score > 0.8


def test_fused_study_is_the_same_whatever_the_threads_and_with_its_own_seed_alone() -> None:
    first = tuner.start("digits", name="first", trials=20, settings=ROWS)
    again = tuner.start("digits", name="again", trials=20, settings={**ROWS, "trainer.threads": 1})
    other = tuner.start("digits", name="other", trials=20, seed=1, settings=ROWS)
    assert table(first) == table(again) != table(other)


def test_default_configuration_learns_alike_fused_and_one_at_a_time() -> None:
    fused = tuner.start("digits", name="fused", trials=1, settings={**EPOCHS, "trainer.rows": 8})
    alone = tuner.start("digits", name="alone", trials=1, settings={**EPOCHS, "trainer.rows": 1})
    assert note(alone) == "trains: one trial at a time: [trainer] rows = 1"
    assert fused.curves["val_loss"].tolist() == pytest.approx(alone.curves["val_loss"].tolist(), rel=1e-4)
    assert fused.best.model_path is not None
    assert alone.best.model_path is not None
    x = tuner.check("digits").data
    assert x is not None
    models = [tuner.load_model(path) for path in (fused.best.model_path, alone.best.model_path)]
    one, two = (model.predict(x.validation.x) for model in models)
    assert (one == two).mean() > 0.99


def test_what_cannot_be_fused_says_why() -> None:
    run = tuner.start("digits_sklearn", trials=1, settings={"trainer.epochs": 1, "trainer.workers": 1})
    assert run.summary.facts["rows"] == 1
    assert "the trainer 'sklearn' does not fuse trials" in note(run)
