"""Whatever a study is made of is read back as it was recorded."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.store import Database

# SQLite keeps no sign of zero; adding zero takes it away.
anything = st.floats(allow_nan=True).map(lambda value: value + 0.0)
positive = st.floats(0, 1e6)
# PostgreSQL's text takes no NUL, and no encoding takes half a surrogate pair.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
extras = st.dictionaries(texts, anything, max_size=3)


@st.composite
def curves(draw: st.DrawFn) -> list[Reading]:
    count = draw(st.integers(0, 4))
    return [
        Reading(
            epoch,
            draw(anything),
            draw(anything),
            draw(anything),
            draw(anything),
            draw(anything),
            draw(anything),
            draw(positive),
            draw(extras),
        )
        for epoch in range(1, count + 1)
    ]


@st.composite
def params(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "learning_rate": draw(st.floats(1e-5, 1.0)),
        "batch_size": draw(st.integers(16, 512)),
        "optimizer": draw(st.sampled_from(["sgd", "momentum", "adam"])),
        "norm": draw(st.sampled_from([True, False, 1, 0.5, "layer"])),
    }
    if found["optimizer"] == "momentum":
        found["momentum"] = draw(st.floats(0, 0.99))
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[TrialRecord, list[Reading]]]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        curve = draw(curves())
        state = draw(st.sampled_from([TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED]))
        record = TrialRecord(
            number=number,
            params=draw(params()),
            state=state,
            value=draw(st.none() | anything.filter(math.isfinite)),
            best=draw(st.sampled_from(curve)) if curve else None,
            epochs=len(curve),
            conclusive=state is TrialState.FINISHED or draw(st.booleans()),
            rule=draw(st.none() | texts),
            reason=draw(st.none() | texts),
            traceback=draw(st.none() | texts),
            seconds=draw(positive),
            model_path=draw(st.none() | st.just("kept")),
        )
        found.append((record, curve))
    return found


def exact(value: Any) -> str:
    """A text in which nan equals itself and 1 is not True."""
    return repr(value)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_records_and_curves_are_read_back_as_they_were(
    database: Database, spec: StudySpec, history: list[tuple[TrialRecord, list[Reading]]]
) -> None:
    store = database.create_study("trip", spec, {})
    try:
        store.record(Turn(started=[Trial(record.number, record.params, 0) for record, _ in history]))
        store.record(Turn(readings=[(record.number, r) for record, curve in history for r in curve]))
        store.record(Turn(ended=[record for record, _ in history]))
        stored = database.records("trip")
        found = [dataclasses.replace(r, started_at=None, ended_at=None) for r in stored]
        places = {r.number: str(store.artifacts.path(r.number)) for r, _ in history if r.model_path}
        told = [dataclasses.replace(r, model_path=places.get(r.number)) for r, _ in history]
        assert exact(found) == exact(told)
        expected = {record.number: curve for record, curve in history if curve}
        assert exact(database.curves("trip")) == exact(expected)
        first = spec.objectives().best_of(stored)
        shown = {0, first.number if first is not None else None}
        brief = [r if r.number in shown else dataclasses.replace(r, best=None) for r in stored]
        assert exact(database.records("trip", is_brief=True)) == exact(brief)
        summary = database.study("trip")
        valued = [r for r in found if r.value is not None and r.state is not TrialState.FAILED]
        standing = [r for r in valued if r.conclusive] or valued
        best = min(
            standing, key=lambda r: (r.value if r.value is not None else math.inf, r.number), default=None
        )
        assert (summary.best_number, summary.best_value) == (
            (best.number, best.value) if best is not None else (None, None)
        )
        assert sum(summary.counts.values()) == len(history)
    finally:
        store.close()
        database.delete_study("trip")
