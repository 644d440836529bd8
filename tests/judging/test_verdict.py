"""The verdict's words: golden text for every kind of result, and what must hold for any result."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.judging.made import GAP, LOSS, PAIR, candidate, cases, confirmed, record, told, verdict
from tuner.core import words
from tuner.core.objectives import Objectives
from tuner.core.trial import Objective, Origin
from tuner.judging.confirmation import Confirmation
from tuner.judging.sentences import sentences, short
from tuner.judging.verdict import Reason, Verdict

GOLDEN = Path(__file__).parent / "verdicts.txt"

values = st.floats(0.01, 2, allow_nan=False).map(lambda x: round(x, 4))
objectives = st.sampled_from([LOSS, GAP, PAIR, Objectives((Objective("val_score", minimize=False),))])


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Any few candidates of any search, with and without a confirmation."""
    chosen = draw(objectives)
    searched = draw(st.lists(st.none() | values, min_size=1, max_size=6))
    records = [
        record(n, x, gap=draw(st.sampled_from([0.01, 0.2])), parameters=draw(values))
        for n, x in enumerate(searched)
    ]
    is_running = draw(st.booleans())
    best = chosen.best_of(records)
    if best is None or records[0].value is None or draw(st.booleans()):
        return verdict(records, objectives=chosen, is_running=is_running)
    repeats = draw(st.integers(3, 5))
    again = [
        candidate(
            each.number,
            each.value or 0.0,
            *(draw(values) if draw(st.integers(0, 9)) else None for _ in range(repeats)),
            size=draw(st.sampled_from([50, 100])),
            gap=draw(st.sampled_from([None, 0.01, 0.2])),
            parameters=draw(values),
        )
        for each in sorted(records, key=lambda each: (each.number == 0, chosen.key(each)))
        if each.value is not None
    ]
    if all(each.mean is None for each in again):
        return verdict(records, objectives=chosen)
    found = replace(confirmed(again, chosen, trials=len(records)), best=best.number)
    return verdict(records, found, chosen)


def test_every_kind_of_result_is_told_in_these_words() -> None:
    assert told() == GOLDEN.read_text(encoding="utf-8"), "after a change: python -m tests.judging.made"


@given(verdicts())
def test_one_decision_is_told_once(found: Verdict) -> None:
    text = sentences(found)
    assert sum(sentence.startswith("Take ") for sentence in text) == (found.confirmation is not None)
    assert not re.search(r"\bkeep\b", " ".join(text), re.IGNORECASE)
    name = "the default" if found.number == 0 else f"trial {found.number}"
    if found.confirmation is not None:
        assert text[0].startswith(f"Take {name}:")
        assert found.number in [each.number for each in found.confirmation.contenders]
    if found.number is not None:
        assert short(found).lower().startswith(f"{name},")
    assert found.number not in found.tied


@given(verdicts())
def test_every_number_belongs_to_the_trial_that_is_named(found: Verdict) -> None:
    text = " ".join(sentences(found))
    again = found.confirmation.candidates if found.confirmation else ()
    means = {each.number: each.mean for each in again}
    searched = {each.number: each.searched for each in again}
    lucky = r"Trial (\d+) had the search's best [a-z ]+, (\S+); trained again its mean is ([0-9.e-]+?)"
    lucky += r"(?: \(the default: (\S+), then (\S+)\))?[.,] "
    for number, before, mean, *its in re.findall(lucky, text):
        assert number != "0"
        assert float(before) == pytest.approx(searched[int(number)], rel=1e-3)
        assert float(mean) == pytest.approx(means[int(number)], rel=1e-3)
        if its[0]:
            assert [float(x) for x in its] == pytest.approx([searched[0], means[0]], rel=1e-3)
    for name, mean in re.findall(
        r"The mean [a-z ]+ of (the default|trial \d+) over \d+ trainings is (\S+)", text
    ):
        number = int(name.rpartition(" ")[2]) if name != "the default" else 0
        assert number == found.number
        assert float(mean) == pytest.approx(means[number], rel=1e-3)
    if found.retrained_best is not None and found.best is not None:
        assert found.retrained_best.number == found.best.number
        assert found.retrained_best.searched == found.best.value


@given(verdicts())
def test_who_breaks_a_constraint_is_not_taken_where_another_one_keeps_it(found: Verdict) -> None:
    if not found.broken:
        return
    assert found.reason in (Reason.CLOSEST, Reason.SEARCHED)
    if found.confirmation is not None:
        whole = [each.number for each in found.confirmation.candidates if each.mean is not None]
        assert all(found.confirmation.broken(number) for number in whole)
    assert "constraint" in " ".join(sentences(found))


@given(verdicts())
def test_a_verdict_is_a_table_and_a_confirmation_comes_back_from_one(found: Verdict) -> None:
    table = json.loads(json.dumps(found.to_table()))
    assert table["take"] == found.number
    if found.confirmation is not None:
        stored = json.loads(json.dumps(found.confirmation.to_table()))
        assert Confirmation.from_table(stored) == found.confirmation
        before = {"objectives": "goals", "search_value": "naive", "locked_reads": "openings"}
        renamed = {before.get(key, key): x for key, x in stored.items()}
        assert Confirmation.from_table(renamed) == found.confirmation
        earlier = {key: x for key, x in stored.items() if key not in ("objectives", "best")}
        earlier["candidates"] = [{**each} for each in earlier["candidates"]]
        for each in earlier["candidates"]:
            del each["measured"]
        again = replace(found, confirmation=Confirmation.from_table(earlier))
        assert again.number == found.number
        assert sentences(again)[0].startswith("Take ")


@given(verdicts())
def test_every_interval_lies_within_what_its_measure_can_be(found: Verdict) -> None:
    interval = found.interval
    if interval is not None and found.value is not None:
        assert interval.low <= found.value <= interval.high
        assert interval.low >= 0 or found.metric == "val_score"


@pytest.mark.parametrize("name", list(cases()))
def test_the_default_is_not_compared_with_its_own_retraining(name: str) -> None:
    retrained = cases()[name].retrained_best
    assert retrained is None or retrained.number != 0


def test_numbers_beside_each_other_are_told_apart() -> None:
    assert words.numbers(0.123456, 0.123457) == ["0.123456", "0.123457"]
    assert words.numbers(0.5, 0.5) == ["0.5", "0.5"]
    assert len(set(words.numbers(0.050123, 0.050119, 50123.0, 50121.0))) == 4


def test_trials_that_came_after_a_confirmation_are_told_of_a_study_with_imported_ones_too() -> None:
    imported = [replace(record(n, 0.2), conclusive=False, origin=Origin.IMPORTED) for n in (1, 2, 3)]
    records = [record(0, 0.5), *imported, record(4, 0.4)]
    again = confirmed([candidate(4, 0.4, 0.40, 0.41, 0.42), candidate(0, 0.5, 0.50, 0.51, 0.52)], trials=5)
    assert "went on" not in " ".join(sentences(verdict(records, again)))
    more = [*records, record(5, 0.3)]
    assert "1 of 3 trials are not in it" in " ".join(sentences(verdict(more, again)))
