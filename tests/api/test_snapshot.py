"""A stored study is read once, whatever is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import tuner
from tuner.cli.summary import print_summary
from tuner.core.spec import StudySpec
from tuner.results import brief
from tuner.store import Database, database_reads, read
from tuner.store.records import records

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9)}


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, 4):
        yield {"train_loss": params["x"], "val_loss": params["x"] + 1 / epoch}


def start(name: str = "study", **settings: Any) -> tuner.Study:
    given = {"search.sampler": "random", "search.pruner": "none", **settings}
    return tuner.start(trainer=train, space=SPACE, name=name, trials=6, settings=given)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a database was opened, a spec parsed, all records read."""
    counts: Counter[str] = Counter()

    def counting(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **keys: Any) -> Any:
            counts[what] += 1
            return function(*given, **keys)

        return counted

    monkeypatch.setattr(Database, "open", counting("opened", Database.open))
    monkeypatch.setattr(StudySpec, "parse", counting("parsed", StudySpec.parse))
    for module in (database_reads, read):
        monkeypatch.setattr(module, "records", counting("records", records))
    return counts


ONCE = {"opened": 1, "parsed": 1, "records": 1}


@pytest.mark.parametrize(
    "settings", [{}, {"objective.also": {"gap": "minimize"}}], ids=["one", "two objectives"]
)
def test_the_summary_of_a_study_reads_it_once(counted: Counter[str], settings: dict[str, Any]) -> None:
    start(**settings)
    counted.clear()
    print_summary(tuner.load("study"))
    assert counted == ONCE


def test_the_report_of_a_study_reads_it_once(counted: Counter[str]) -> None:
    start()
    counted.clear()
    tuner.write_report("study")
    assert counted == ONCE


def test_a_comparison_reads_each_study_once_its_page_included(counted: Counter[str]) -> None:
    start("one")
    start("two", **{"search.seed": 5})
    counted.clear()
    tuner.compare(["one", "two"], html="both.html")
    assert counted == {what: 2 * times for what, times in ONCE.items()}


def test_the_spec_of_a_study_file_is_parsed_once_until_it_trains(counted: Counter[str]) -> None:
    start()
    assert counted["parsed"] == 2, "as it begins, and as it is stored"
    counted.clear()
    tuner.resume("study", trainer=train, trials=8)
    assert counted["parsed"] == 3, "as it was stored, with more trials, and as it is stored now"


def test_a_study_stays_as_it_was_read_until_it_is_refreshed() -> None:
    study = start()
    before = study.best
    tuner.resume("study", trainer=train, trials=8)
    assert len(study.records) == 6
    assert len(study.refresh().records) == len(study.trials) == 8
    assert before.study is study
    assert brief(study, study.recommended)["trial"] == study.recommended.number
