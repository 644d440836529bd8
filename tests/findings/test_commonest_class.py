from __future__ import annotations

from pathlib import Path

from tests.findings.trained import said, study
from tuner.core.baseline import Baseline
from tuner.core.words import percent


def test_a_study_of_a_rare_class_says_that_always_naming_the_other_is_as_good(tmp_path: Path) -> None:
    found = study(tmp_path, "a little")
    base = Baseline.of(found.summary.facts)
    assert base is not None
    assert base.says == "'no'"
    assert base.val_score > 0.93
    told = said(found)
    assert "nothing_learned" not in told
    expected = f"Always predicting 'no' is as good: it has an accuracy of {percent(base.val_score, 2)}"
    assert told["commonest_class"].startswith(expected)


def test_who_judges_by_the_rare_class_already_is_not_told_to(tmp_path: Path) -> None:
    found = study(tmp_path, "a little", **{"trainer.score": "f1", "trainer.epochs": 1})
    advice = {finding.name: finding.advice for finding in found.findings()}
    assert "f1" not in advice["commonest_class"]
