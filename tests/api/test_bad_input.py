from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tuner

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9)}


def sentence(error: type[Exception], **options: Any) -> str:
    with pytest.raises(error) as raised:
        tuner.start(**options)
    assert not Path("tuner.db").exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"study": "digit"}, tuner.SpecError, "did you mean 'digits'"),
        ({"study": "nothing.csv", "target": "y"}, tuner.DataError, "nothing.csv"),
        ({"study": "digits", "settings": {"trainer.epcohs": 3}}, tuner.SpecError, "did you mean 'epochs'"),
        ({"study": "digits", "settings": {"trainer.epochs.x": 3}}, tuner.SpecError, "no section"),
        (
            {"study": "digits", "settings": {"trainer.use": "troch"}},
            tuner.SpecError,
            "did you mean 'torch'",
        ),
        ({"study": "digits", "settings": {"trainer.model": "mpl"}}, tuner.SpecError, "mlp"),
        ({"study": "digits", "settings": {"data.source": "sklearn:digit"}}, tuner.DataError, "digits"),
        ({"study": "digits", "device": "cuda:99"}, tuner.TunerError, "cuda:99"),
        (
            {"study": "digits", "settings": {"stop.rules": ["./no.py:rule"]}},
            tuner.PluginError,
            "no such file",
        ),
        (
            {"study": "digits", "settings": {"search.sampler": "grid", "search.grid_points": 9}},
            tuner.SpecError,
            "grid",
        ),
        ({"study": None, "data": "sklearn:iris", "space": 3}, tuner.SpecError, "space"),
        ({"study": {"space": {"use": ["optimisation"]}}}, tuner.SpecError, "did you mean 'optimization'"),
        ({"study": None, "space": SPACE, "data": [1, 2]}, tuner.DataError, "data: cannot use a list"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    assert words in sentence(error, **options)


def test_missing_target_column_names_the_near_one(houses: Path) -> None:
    assert "price" in sentence(tuner.DataError, study="house.csv", target="prize")


def test_trainer_that_is_no_trainer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("number = 3\n")
    assert "mine.py" in sentence(tuner.PluginError, trainer="./mine.py:number", space=SPACE)
