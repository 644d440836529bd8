"""Report: one HTML file with a study's results and how it was run; it needs no network."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from shlex import quote
from typing import TYPE_CHECKING, Any

from tuner import content, figures, starter
from tuner.core import words
from tuner.core.frame import Frame
from tuner.core.markup import Markup, element, joined, table
from tuner.errors import SpecError
from tuner.findings import Finding, Severity
from tuner.judging.sentences import sentences
from tuner.judging.verdict import Verdict
from tuner.results import overview, spreadsheet
from tuner.results.markup import STYLE, card, library
from tuner.results.study_figures import APART
from tuner.store import StudySummary

if TYPE_CHECKING:
    from tuner.results.study import Study

SHOWN_TRIALS = 50
"""Trials in the table; the CSV holds all."""

_MOODS = {Severity.NOTE: "note", Severity.ADVICE: "fair", Severity.WARNING: "poor"}


def page(study: Study) -> str:
    """The whole document."""
    sections = [
        ("result", "Result", _result(study)),
        ("confirmed", "Confirmed", _confirmed(study.verdict)),
        ("findings", "Findings", _findings(study.findings())),
        ("figures", "Figures", _figures(study.explained)),
        ("trials", "The best trials", _trials(study)),
        ("run", "How it was run", _run(study)),
    ]
    links = element("nav", *(element("a", title, href=f"#{key}") for key, title, _ in sections))
    body = joined(
        [
            element("header", element("h1", study.name), _subtitle(study.summary), links),
            *(
                element("section", element("h2", title), told, id=key)
                for key, title, told in sections
            ),
        ]
    )  # fmt: skip
    return figures.document(f"{study.name} - tuner", body, library(), STYLE)


def _subtitle(summary: StudySummary) -> Markup:
    why = f", {summary.reason}" if summary.reason and not summary.is_driven else ""
    dates = f"{words.moment(summary.created_at)} to {words.moment(summary.updated_at)}"
    parts = [element("p", summary.description)] if summary.description else []
    return joined([*parts, element("p", f"{summary.status}{why} · {dates}", class_="quiet")])


def _result(study: Study) -> Markup:
    verdict = study.verdict
    told = card(*(element("p", sentence) for sentence in sentences(verdict)), mood="verdict")
    if verdict.taken is None:
        return told
    beside = [element("h2", "Beside the default, in the search"), _beside(study)]
    if (simple := overview.simple(study)) is not None:
        where, told_simple = simple
        note = f"Measured on {where}; baselines were trained on the same rows as the trials."
        said = element("p", note, class_="quiet")
        beside += [element("h2", "Beside something simple"), card(told_simple.markup(), said)]
    if len(verdict.front) > 1:
        beside += [element("h2", "The best trade-offs"), _front(study)]
    return joined([told, *beside])


def _front(study: Study) -> Markup:
    """The trials that no other one beats in every objective."""
    told, _ = overview.front(study)
    said = "To improve one of these numbers, another one has to get worse."
    return card(element("p", said, class_="quiet"), told.markup(SHOWN_TRIALS))


def _beside(study: Study) -> Markup:
    """What was measured of the trial to take and of the default, and the settings in which they differ."""
    views = overview.beside(study)
    different = "Settings" if len(views) == 1 else "Settings that differ"
    told = (("What was measured", overview.measured(views)), (different, overview.settings(views)))
    cards = [card(element("h3", title), each.markup()) for title, each in told]
    return element("div", *cards, class_="figures")


def _confirmed(verdict: Verdict) -> Markup:
    """The confirmation's numbers, and when the test was read."""
    from tuner.figures import overtuning

    found, told = verdict.confirmation, overview.trained_again(verdict)
    if found is None or told is None:
        how = element("code", f"tune confirm {quote(verdict.study)}")
        what = (
            " trains the best few and the default configuration again, says which to take, and opens the "
            "locked test data, once."
        )
        return card(element("p", "Not yet. ", how, what))
    opened = [f"{words.moment(each.at)}: tune {each.command}, on {each.host}" for each in found.locked_reads]
    when = f"The test data was opened {'; '.join(opened)}." if opened else f"No test: {found.untested}."
    note = element("p", when, class_="quiet")
    parts = [card(element("h3", "Trained again"), told.markup(), note)]
    steps = verdict.overtuning.path if verdict.overtuning else ()
    if steps:
        columns = ([s.number for s in steps], [s.validation for s in steps], [s.test for s in steps])
        light, dark = (
            overtuning.path(*columns, found.metric, theme, verdict.trials)
            for theme in (figures.LIGHT, figures.DARK)
        )
        drawn = Markup(figures.figure_html(light, dark))
        said = element("p", overtuning.HELP, class_="quiet")
        parts.append(card(element("h3", "Validation against test"), said, drawn))
    return element("div", *parts, class_="stack")


def _findings(findings: Sequence[Finding]) -> Markup:
    if not findings:
        return element("p", "Nothing calls for a change.", class_="quiet")
    cards = [
        card(
            element("p", each.sentence), element("p", each.advice, class_="quiet"), mood=_MOODS[each.severity]
        )
        for each in findings
    ]
    return element("div", *cards, class_="cards")


def _figures(columns: Frame) -> Markup:
    """Every figure with its help text; those without data are only named."""
    parts, empty = [], []
    for entry in _entries(len(columns.objectives)):
        figure = figures.find(entry["use"])
        title, options = entry.get("title", figure.title), entry.get("options")
        try:
            light, dark = (
                figures.plot(figure, columns, theme, options) for theme in (figures.LIGHT, figures.DARK)
            )
        except SpecError:  # what the page chose, e.g. the gap as a cost, was never measured
            light = dark = {"data": []}
        if not light["data"]:
            empty.append(title)
            continue
        drawn = Markup(figures.figure_html(light, dark, entry.get("height", 380)))
        wide = "full" if entry.get("width") == "full" else ""
        parts.append(card(element("h3", title), element("p", figure.help, class_="quiet"), drawn, mood=wide))
    left_out = (
        f"Left out because the study has no data for them: {words.listed(list(dict.fromkeys(empty)))}."
        if empty
        else ""
    )
    return joined([element("div", *parts, class_="figures"), element("p", left_out, class_="quiet")])


def _entries(objectives: int) -> list[Mapping[str, Any]]:
    """The figures of the shipped dashboard pages for a study of so many objectives; then the user's own."""
    pages = [tomllib.loads(path.read_text("utf-8")) for path in content.shipped("page").glob("*.toml")]
    pages = sorted((page for page in pages if page.get("of") != "trial"), key=lambda page: page["order"])
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in (entry for page in pages for entry in page["figures"]):
        if entry.get("several_objectives") and objectives == 1:
            continue
        found.setdefault((entry["use"], json.dumps(entry.get("options"))), entry)
    shown = [entry for entry in found.values() if entry["use"] not in APART]
    known = {entry["use"] for entry in shown} | APART
    return [*shown, *({"use": name} for name in figures.names() if name not in known)]


def _trials(study: Study) -> Markup:
    """The best trials, best first, with every setting; the most important one first."""
    told, records = overview.best_trials(study, SHOWN_TRIALS)
    names = study.explained.ordered_params()
    params = [words.settings(record.params.get(name) for record in records) for name in names]
    rows = [(*cells, *each) for cells, *each in zip(told.rows, *params, strict=True)]
    data = base64.b64encode(spreadsheet.csv(study.trials).encode()).decode()
    link = element(
        "a", "all trials as CSV", href=f"data:text/csv;base64,{data}", download=f"{study.name}.csv"
    )
    note = element(
        "p",
        f"{len(records)} of {words.count(len(study.records), 'trial')}, ",
        link,
        class_="quiet download",
    )
    head = [*map(words.metric, told.head), *names]
    return card(note, table(head, rows, told.marked), mood="trials")


def _run(study: Study) -> Markup:
    summary, records = study.summary, study.records
    facts = summary.facts
    times = sum(record.interruptions for record in records)
    hit = sum(record.interruptions > 0 for record in records)
    epochs = words.count(sum(record.epochs for record in records), "epoch")
    at = [
        words.count(int(facts[f"{noun}s"]), noun)
        for noun in ("worker", "row", "thread")
        if f"{noun}s" in facts
    ]
    notes = [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in facts.get("notes", ())]
    used = {
        "trials": words.listed([f"{n} {state}" for state, n in summary.counts.items() if n]),
        "trained": f"{epochs} in {words.duration(summary.seconds)}",
        "interrupted": f"{words.count(hit, 'trial')}, {words.count(times, 'time')} in all"
        if hit
        else "never",
        "machine": str(facts.get("machine", words.ABSENT)),
        "ran on": ", ".join([str(facts.get("device", words.ABSENT)), *at]),
        "versions": ", ".join(f"{name} {told}" for name, told in _versions(facts)),
        "notes": " ".join(notes) or words.ABSENT,
    }
    listed = element("dl", *(part for k, v in used.items() for part in (element("dt", k), element("dd", v))))
    commands = [
        [
            words.moment(each.at),
            f"tune {each.command}" if each.command else words.ABSENT,
            "; ".join(each.changes) or words.ABSENT,
        ]
        for each in study.specs
    ]
    toml = starter.study_toml(study.spec.to_table())
    file = element("details", element("summary", "The study file, as it was run last"), element("pre", toml))
    return card(
        listed, element("div", table(["when", "command", "what changed"], commands), class_="told"), file
    )


def _versions(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Python", str(facts.get("python", words.ABSENT))
    yield from facts.get("versions", {"tuner": f"{version('tuner')} (that wrote this report)"}).items()
