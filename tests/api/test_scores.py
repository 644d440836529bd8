from __future__ import annotations

from pathlib import Path

import pytest

import tuner
from tests.findings.trained import study


def test_the_score_of_two_classes_is_the_rarer_ones_or_that_which_is_named(tmp_path: Path) -> None:
    found = study(tmp_path, "all", **{"trainer.score": "f1"})
    assert (
        "The f1 is that of the class 'yes', the rarer one; [data] positive names another."
        in (found.summary.facts["notes"])
    )
    named = study(tmp_path, "all", **{"trainer.score": "f1", "data.positive": "no", "name": "named"})
    assert "The f1 is that of the class 'no', as the study says." in named.summary.facts["notes"]
    assert named.best.reading != found.best.reading
    with pytest.raises(tuner.DataError, match="'maybe' is not one of two classes; the classes are no, yes"):
        study(tmp_path, "all", **{"data.positive": "maybe", "name": "other"})
