"""Reporting: one HTML file that tells what a study has found and how it was run, and needs no network.

How figures are drawn is known in `figures`, what was found in `findings`.
"""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from math import isfinite, nan
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tuner import content, starter
from tuner.api import spreadsheet
from tuner.api.markup import STYLE, Markup, card, element, joined, table
from tuner.api.provenance import require_unchanged
from tuner.api.run import load
from tuner.api.study import Study, TrialView
from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, TrialRecord
from tuner.errors import SpecError
from tuner.findings import Finding, Severity
from tuner.judging import Verdict, label, sentences
from tuner.store import StudySummary

if TYPE_CHECKING:
    from tuner.figures import Frame

SHOWN_TRIALS = 50
"""Trials in the table; the CSV holds all."""

MEASURED = ("val_loss", "train_loss", "gap", "val_score", "train_score")

_MOODS = {Severity.NOTE: "note", Severity.ADVICE: "fair", Severity.WARNING: "poor"}


def report(
    name: str,
    path: str | Path = "report.html",
    *,
    ignore_changes: bool = False,
    storage: str | None = None,
) -> Path:
    """Write what a study has found, and how it was run, as one file for the browser.

    Args:
        name: the study; it may still be running.
        path: the file; it is replaced.
        ignore_changes: report what is stored though the data file has changed since.
        storage: the database's URL.

    Returns:
        The file.

    Raises:
        StudyNotFound: there is no study of that name.
        SpecError: the file cannot be written, or the data file has changed since.
    """
    place, study = Path(path), load(name, storage=storage)
    if not ignore_changes:
        require_unchanged(name, study.spec, study.url)
    save(place, page(study))
    return place


def save(place: Path, text: str) -> None:
    """Write a page.

    Raises:
        SpecError: it cannot be written there.
    """
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"{place}: cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error


def library() -> str:
    """The text of plotly.js with cartesian figures alone, a third of the whole one."""
    return resources.files("tuner").joinpath("web/assets/a-plotly.min.js").read_text(encoding="utf-8")


def page(study: Study) -> str:
    """The whole document."""
    from tuner import figures
    from tuner.api.pictures import frame

    summary, spec, records, verdict = study.summary, study.spec, study.records, study.verdict
    findings, columns = study.findings(), frame(study)
    sections = [
        ("result", "Result", _result(study, verdict)),
        ("confirmed", "Confirmed", _confirmed(verdict)),
        ("findings", "What was found", _findings(findings)),
        ("figures", "Figures", _figures(columns)),
        ("trials", "The best trials", _trials(study, records, columns)),
        ("run", "How it was run", _run(study, summary, spec, records)),
    ]
    links = element("nav", *(element("a", title, href=f"#{key}") for key, title, _ in sections))
    body = joined(
        [
            element("header", element("h1", study.name), _subtitle(summary), links),
            *(
                element("section", element("h2", title), told, id=key)
                for key, title, told in sections
            ),
        ]
    )  # fmt: skip
    return figures.document(f"{study.name} - tuner", body, library(), STYLE)


def _subtitle(summary: StudySummary) -> Markup:
    state = "running" if summary.is_driven else str(summary.state)
    why = f", {summary.reason}" if summary.reason and not summary.is_driven else ""
    dates = f"{words.moment(summary.created_at)} to {words.moment(summary.updated_at)}"
    parts = [element("p", summary.description)] if summary.description else []
    return joined([*parts, element("p", f"{state}{why} · {dates}", class_="quiet")])


def _result(study: Study, verdict: Verdict) -> Markup:
    told = card(*(element("p", sentence) for sentence in sentences(verdict)), mood="verdict")
    if verdict.taken is None:
        return told
    beside = [element("h2", "Beside the default, in the search"), _beside(study.recommended, study.default)]
    front = [study.trial(number) for number in verdict.front]
    if len(front) > 1:
        beside += [element("h2", "The best bargains"), _front(study, front)]
    return joined([told, *beside])


def _front(study: Study, front: Sequence[TrialView]) -> Markup:
    """The trials that no other one beats in every objective."""
    names = [objective.metric for objective in study.spec.goals().objectives]
    shown = front[:SHOWN_TRIALS]
    columns = [_readings(shown, name) for name in names]
    rows = list(zip((str(view.number) for view in shown), *columns, strict=True))
    said = "Whoever wants a better value of one must take a worse one of another."
    return card(element("p", said, class_="quiet"), table(["trial", *map(words.metric, names)], rows))


def _beside(best: TrialView, default: TrialView) -> Markup:
    """What was measured of both, and the settings in which they differ; of a default that is best all."""
    spec = best.study.spec
    views = [best] if best.number == default.number else [best, default]
    head = ["", *(label(view.number) for view in views)]
    rows = []
    for name in dict.fromkeys((spec.objective.metric, *MEASURED)):
        cells = _readings(views, name)
        if set(cells) != {words.ABSENT}:
            its = spec.trainer.score_name
            score = f" ({its})" if its and name.endswith("_score") else ""
            rows.append([words.metric(name) + score, *cells])
    rows.append(
        [
            "best epoch",
            *(
                f"{view.reading.epoch} of {view.record.epochs}" if view.reading else words.ABSENT
                for view in views
            ),
        ]
    )
    rows.append(["ended", *(view.record.rule or str(view.record.state) for view in views)])
    settings = [
        [name, *cells]
        for name in dict.fromkeys((*best.record.params, *default.record.params))
        if len(set(cells := words.settings(view.record.params.get(name) for view in views))) > 1
        or len(views) == 1
    ]
    different = "Settings" if len(views) == 1 else "Settings that differ"
    cards = [
        card(element("h3", title), table(head, each))
        for title, each in (("What was measured", rows), (different, settings))
    ]
    return element("div", *cards, class_="figures")


def _confirmed(verdict: Verdict) -> Markup:
    """What training the best few again has shown, as numbers, and when the test was read."""
    from tuner import figures
    from tuner.figures import overtuning

    found = verdict.confirmation
    if found is None:
        how = element("code", f"tune confirm {quote(verdict.study)}")
        what = (
            " trains the best few and the default configuration again, says which to take, and opens the "
            "locked test data, once."
        )
        return card(element("p", "Not yet. ", how, what))
    metric, others = words.metric(found.metric), found.candidates[0].measured
    rows = [
        [
            label(each.number),
            words.number(each.searched),
            words.number(each.mean),
            *(words.number(each.measured.get(name)) for name in others),
            "yes" if each.number in found.choice.tied else "no",
            words.ABSENT if each.size_bytes is None else f"{each.size_bytes:,}",
            words.number(each.epochs),
        ]
        for each in found.candidates
    ]
    head = [
        "",
        f"{metric} in the search",
        f"mean of {found.repeats} trainings",
        *map(words.metric, others),
        "among the best",
        "bytes",
        "epochs",
    ]
    taken = next(i for i, each in enumerate(found.candidates) if each.number == verdict.number)
    opened = [f"{words.moment(each.at)}: tune {each.command}, on {each.host}" for each in found.openings]
    when = f"The test data was opened {'; '.join(opened)}." if opened else f"No test: {found.untested}."
    note = element("p", when, class_="quiet")
    parts = [card(element("h3", "Trained again"), table(head, rows, taken), note)]
    steps = verdict.overtuning.path if verdict.overtuning else ()
    if steps:
        columns = ([s.number for s in steps], [s.validation for s in steps], [s.test for s in steps])
        light, dark = (
            overtuning.path(*columns, found.metric, theme) for theme in (figures.LIGHT, figures.DARK)
        )
        drawn = Markup(figures.figure_html(light, dark))
        said = element("p", overtuning.HELP, class_="quiet")
        parts.append(card(element("h3", "Validation against test"), said, drawn))
    return element("div", *parts, class_="stack")


def _findings(findings: Sequence[Finding]) -> Markup:
    if not findings:
        return element("p", "Nothing that would call for a change.", class_="quiet")
    cards = [
        card(
            element("p", each.sentence), element("p", each.advice, class_="quiet"), mood=_MOODS[each.severity]
        )
        for each in findings
    ]
    return element("div", *cards, class_="cards")


def _figures(columns: Frame) -> Markup:
    """Every figure under the words that say what one looks at; those without data are only named."""
    from tuner import figures

    parts, empty = [], []
    for entry in _entries():
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
        f"Left out, for the study has no data for them: {words.listed(list(dict.fromkeys(empty)))}."
        if empty
        else ""
    )
    return joined([element("div", *parts, class_="figures"), element("p", left_out, class_="quiet")])


def _entries() -> list[Mapping[str, Any]]:
    """What stands on the shipped pages of the dashboard, each figure once; then figures of a user's own."""
    from tuner import figures
    from tuner.api.pictures import APART

    pages = [tomllib.loads(path.read_text("utf-8")) for path in content.shipped("page").glob("*.toml")]
    pages = sorted((page for page in pages if page.get("of") != "trial"), key=lambda page: page["order"])
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in (entry for page in pages for entry in page["figures"]):
        found.setdefault((entry["use"], json.dumps(entry.get("options"))), entry)
    shown = [entry for entry in found.values() if entry["use"] not in APART]
    known = {entry["use"] for entry in shown} | APART
    return [*shown, *({"use": name} for name in figures.names() if name not in known)]


def _trials(study: Study, records: Sequence[TrialRecord], columns: Frame) -> Markup:
    """The best trials, best first; those that were cut short before their worth was known come last."""
    goal, names = study.spec.goal(), columns.ordered_params()
    valued = [record for record in records if record.value is not None]
    ranked = sorted(valued, key=study.spec.goals().key)[:SHOWN_TRIALS]
    measured = [name for name in MEASURED if name != goal.metric and any(_has(r.best, name) for r in ranked)]
    rows = list(
        zip(
            [f"{record.number} (default)" if record.number == 0 else str(record.number) for record in ranked],
            words.numbers(*(record.value for record in ranked)),
            *(words.numbers(*(r.best.get(name) if r.best else None for r in ranked)) for name in measured),
            [str(record.epochs) for record in ranked],
            [record.rule or str(record.state) for record in ranked],
            *(words.settings(record.params.get(name) for record in ranked) for name in names),
            strict=True,
        )
    )
    head = ["trial", words.metric(goal.metric), *map(words.metric, measured), "epochs", "ended", *names]
    data = base64.b64encode(spreadsheet.csv(study.trials).encode()).decode()
    link = element(
        "a", "all trials as CSV", href=f"data:text/csv;base64,{data}", download=f"{study.name}.csv"
    )
    shown = f"{len(ranked)} of {words.count(len(records), 'trial')}, "
    default = next((i for i, record in enumerate(ranked) if record.number == 0), None)
    note = element("p", shown, link, class_="quiet download")
    return card(note, table(head, rows, default), mood="trials")


def _readings(views: Sequence[TrialView], name: str) -> list[str]:
    readings = [view.reading for view in views]
    return words.numbers(
        *(r.get(name) if r else None for r in readings),
        errors=[r.error(name) if r else nan for r in readings],
    )


def _has(reading: Reading | None, name: str) -> bool:
    return reading is not None and isfinite(reading.get(name))


def _run(study: Study, summary: StudySummary, spec: StudySpec, records: Sequence[TrialRecord]) -> Markup:
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
    toml = starter.study_toml(spec.to_table())
    file = element("details", element("summary", "The study file, as it was run last"), element("pre", toml))
    return card(
        listed, element("div", table(["when", "command", "what changed"], commands), class_="told"), file
    )


def _versions(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Python", str(facts.get("python", words.ABSENT))
    yield from facts.get("versions", {"tuner": f"{version('tuner')} (that wrote this report)"}).items()
