from __future__ import annotations

import base64
import io
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tuner
from tuner.core.spec import StudySpec
from tuner.judging.sentences import sentences

HOSTILE = "<script>alert('&')</script>"
SPACE = {
    "x": tuner.Float(low=0, high=1, default=0.9),
    "kind": tuner.Choice(choices=(HOSTILE, "b"), default=HOSTILE),
}


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, 5):
        loss = params["x"] / epoch
        yield {"train_loss": loss, "val_loss": loss + 0.1, "val_score": 1 - params["x"] / 2}


def diverges(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    yield {"train_loss": float("nan"), "val_loss": float("nan")}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a study of twelve trials, run once."""
    path = tmp_path_factory.mktemp("stored") / "tuner.db"
    settings = {"search.pruner": "none", "description": HOSTILE}
    tuner.start(
        trainer=train, space=SPACE, trials=12, name=HOSTILE, settings=settings, storage=f"sqlite:///{path}"
    )
    return path


@pytest.fixture
def study(database: Path) -> tuner.Study:
    shutil.copy(database, "tuner.db")
    return tuner.load(HOSTILE)


@pytest.fixture(scope="module")
def whole(database: Path) -> str:
    """The report of that study."""
    path = tuner.write_report(HOSTILE, database.with_name("report.html"), storage=f"sqlite:///{database}")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(whole: str) -> str:
    return without_scripts(whole)


def page_of(study: tuner.Study) -> str:
    return without_scripts(tuner.write_report(study.name, "report.html").read_text(encoding="utf-8"))


def without_scripts(text: str) -> str:
    """The report's HTML, figures' numbers and plotly.js apart."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_no_text_of_a_user_is_markup_and_nothing_is_fetched(whole: str, page: str) -> None:
    assert "alert(" in page
    assert "<script>" not in page
    assert "alert('" not in page
    assert not re.search(r"(src|href)=\"(?!#|data:text/csv)", page)
    assert len(re.findall("<script>", whole)) == 2
    assert len(whole) < 2_500_000


def test_first_sentence_tells_what_tuning_gained(study: tuner.Study) -> None:
    first, *others = sentences(study.verdict)
    assert first.startswith(
        f"Trial {study.best.number} is the best of the search: it lowered the validation loss"
    )
    assert "from 0.325 (the default) to " in first
    assert others[-1].startswith("Not confirmed: the best of 12 measured values is partly luck.")


def test_default_that_is_best_is_told_so() -> None:
    best = {"x": tuner.Float(low=0, high=1, default=0.0)}
    study = tuner.start(trainer=train, space=best, trials=3)
    assert "other trials is better than the default" in sentences(study.verdict)[0]
    assert "Settings that differ" not in page_of(study)


def test_study_without_a_value_has_a_report_too() -> None:
    study = tuner.start(trainer=diverges, space=SPACE, trials=3, name="lost")
    page = page_of(study)
    assert "No trial has a value yet" in page
    assert "How it was run" in page


def test_csv_holds_every_trial(study: tuner.Study, page: str) -> None:
    (data,) = re.findall(r'href="data:text/csv;base64,([^"]*)"', page)
    found = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    assert found["number"].tolist() == list(range(12))
    assert found["params.x"].tolist() == pytest.approx([r.params["x"] for r in study.records])


def test_study_file_of_the_report_is_the_one_that_was_run(study: tuner.Study, page: str) -> None:
    (text,) = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    assert StudySpec.parse(tomllib.loads(unescape(text)), "report") == study.spec


def test_commands_and_changes_are_told_in_order(study: tuner.Study) -> None:
    tuner.resume(study.name, trials=14, trainer=train)
    page = unescape(page_of(study))
    assert page.index("tune start") < page.index("tune resume") < page.index("budget.trials: 12 -> 14")


def test_every_figure_stands_under_its_words_and_empty_ones_are_named(page: str) -> None:
    assert page.count("<h3>Convergence</h3>") == 1
    assert page.count('<div class="plot"') == page.count("<h3>") - 2  # measured, settings
    assert "Left out because the study has no data for them: " in page
    assert "Studies compared" not in page


def test_study_that_is_not_confirmed_says_how_to(page: str) -> None:
    assert "Not yet. <code>tune confirm " in page


def test_several_objectives_show_the_best_trade_offs() -> None:
    def both(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        yield {"val_loss": params["x"], "train_loss": 0.0, "cost": 1 - params["x"]}

    study = tuner.start(
        trainer=both, space=SPACE, trials=8, settings={"objective.also": {"cost": "minimize"}}
    )
    assert len(study.front) > 1
    assert "The best trade-offs" in page_of(study)


def test_constraint_that_no_trial_keeps_is_told() -> None:
    study = tuner.start(trainer=train, space=SPACE, trials=4, settings={"objective.at_most": {"gap": 0.05}})
    assert any("not at most 0.05" in sentence for sentence in sentences(study.verdict))


def test_file_that_cannot_be_written_is_told(study: tuner.Study) -> None:
    with pytest.raises(
        tuner.SpecError, match=r"nowhere.report.html: cannot be written: .*folder that exists"
    ):
        tuner.write_report(study.name, "nowhere/report.html")


def test_confirmed_result_stands_in_the_report_with_when_the_test_was_opened() -> None:
    space = {"alpha": tuner.Float(low=1e-5, high=1.0, default=0.1, log=True)}
    keys: dict[str, Any] = {"trainer.use": "sklearn", "trainer.model": "sklearn.linear_model:SGDClassifier"}
    keys |= {"trainer.executor": "inline", "trainer.epochs": 3}
    study = tuner.start(data="sklearn:iris", space=space, name="iris", trials=4, settings=keys)
    found = tuner.confirm("iris", top=1, repeats=3)
    page = unescape(page_of(study.refresh()))
    assert all(sentence in page for sentence in sentences(study.verdict))
    assert found.locked_reads[0].command in page
    assert page.count('class="marked"') >= 1
