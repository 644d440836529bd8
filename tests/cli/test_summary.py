from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.judging.sentences import sentences
from tuner.results import brief


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts studies in which val_loss is x and val_score is what a rule makes of x."""
    monkeypatch.chdir(tmp_path)

    def start(score: str, choices: tuple[float, ...], **settings: Any) -> tuner.Study:
        def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
            value = params["x"] if score == "alike" else -params["x"]
            yield {"val_loss": params["x"], "val_score": -value}

        space = {"x": tuner.Choice(choices=choices, default=choices[0])}
        return tuner.start(trainer=train, space=space, trials=9, settings=settings)

    return start


def test_gain_is_told_when_loss_and_score_agree(study: Any) -> None:
    done = study("alike", (0.5, 0.25))
    told = f"Trial {done.best.number} is the best of the search: it lowered the validation loss from 0.5"
    assert sentences(done.verdict)[0] == f"{told} (the default) to 0.25, by 50 %."
    assert brief(done, done.best)["gain"] == {"value": 0.25, "val_score": 0.25}


def test_score_that_got_worse_is_told(study: Any) -> None:
    done = study("against", (0.5, 0.25))
    told = "But its validation score is worse than the default's: 0.25, not 0.5."
    assert sentences(done.verdict)[1] == told
    assert brief(done, done.best)["gain"] == {"value": 0.25, "val_score": -0.25}


def test_error_as_score_counts_the_other_way_round(study: Any) -> None:
    done = study("against", (0.5, 0.25), **{"trainer.score": "rmse"})
    assert "worse" not in " ".join(sentences(done.verdict))
    assert brief(done, done.best)["gain"] == {"value": 0.25, "val_score": 0.25}


def test_tuning_that_found_nothing_better_says_so(study: Any) -> None:
    done = study("alike", (0.25, 0.5))
    assert (
        sentences(done.verdict)[0] == "The other trial is not better than the default: validation loss 0.25."
    )
    assert brief(done, done.best)["gain"] == {"value": 0.0, "val_score": 0.0}
