"""Values in a notebook: small HTML, escaped, that says what the terminal says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

import tuner
from tuner.findings import Finding, Findings, Severity
from tuner.judging.sentences import sentences

NAME = "<b>&'mine'"


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, context.epochs + 1):
        yield {"train_loss": params["x"] / epoch, "val_loss": params["x"] + context.number / 100}


def start(name: str = NAME, trials: int = 4) -> tuner.Study:
    space = {"x": tuner.Float(low=0, high=1, default=0.9)}
    return tuner.start(trainer=train, space=space, name=name, trials=trials, settings={"trainer.epochs": 2})


class Reader(HTMLParser):
    """The text of a page; fails where an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(value: Any) -> str:
    page = value._repr_html_()
    assert page.startswith('<div class="tuner-snippet">')
    assert "<b>&'" not in page
    assert len(page) < 20_000
    return Reader(page).text


def test_a_study_says_how_it_stands_and_which_trial_to_take() -> None:
    study = start()
    text = read(study)
    assert f"{NAME}: finished, the budget of 4 trials is used up; 4 trials" in text
    assert all(sentence in text for sentence in sentences(study.verdict))
    assert f"trial {study.best.number}" in text
    assert all(note in text for note in study.notes)


def test_a_study_without_a_value_shows_too() -> None:
    def fail(params: Mapping[str, Any], context: Any) -> float:
        raise RuntimeError("no <luck>")

    with pytest.raises(tuner.TrialError):
        tuner.start(trainer=fail, space={"x": tuner.Float(low=0, high=1)}, name=NAME, trials=2)
    study = tuner.load(NAME)
    assert "trial 0 and 1 other: RuntimeError: no <luck>; see: tune show" in read(study)
    assert "RuntimeError: no <luck>" in read(study.trial(1))


def test_a_trial_a_comparison_and_a_confirmation_show_their_numbers() -> None:
    study = start()
    start("other")
    text = read(study.trial(2))
    assert f"trial 2 of {NAME}: finished" in text
    assert "validation loss" in text
    comparison = tuner.compare([NAME, "other"])
    text = read(comparison)
    assert all(pair.sentence in text for pair in comparison.pairs)
    found = tuner.confirm(NAME, top=2, repeats=3, trainer=train)
    text = read(found)
    assert "is recommended" in text
    assert "mean of 3 trainings" in text
    assert "the default" in text
    assert f"No test: {found.untested}." in text


def test_findings_show_as_sentences_and_are_a_list() -> None:
    study = start()
    found = study.findings()
    assert isinstance(found, list)
    assert all(each.sentence in read(found) for each in found)
    assert read(Findings()).endswith("Nothing calls for a change.")
    odd = Finding("odd", "1 < 2 & so on", {}, "do <this>", Severity.NOTE)
    assert "1 < 2 & so on do <this>" in read(Findings([odd]))
