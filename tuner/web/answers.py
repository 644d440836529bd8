"""Answers: whether the search still improves, what over-fits, which configuration to take, what to do next.

The first two come from a frame; the third is the study's verdict in its own words (`judging.sentences`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

import numpy as np

from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.core.budget import StudyState
from tuner.core.importances import Importances
from tuner.core.overfitting import can_tell_onset, onsets
from tuner.core.trial import TrialState
from tuner.figures import Frame
from tuner.figures.importances import smaller_gap_side
from tuner.figures.theme import shortened
from tuner.findings import Finding
from tuner.judging.sentences import decision, sentences, short
from tuner.judging.simple import beside_simple
from tuner.judging.verdict import DEFAULT, Verdict
from tuner.store.values import StudySummary

RECENT = 0.2
"""The share of the newest trials within which an improvement counts as recent."""

FLAT = 0.02
"""A recent gain below this share of the whole gain is called small."""

RISEN = 0.2
"""A validation loss that has risen by less than this share over-fits a little."""

LOSSES = ("train_loss", "val_loss")

FEW = 20
"""Fewer trials than this say little of where a search is going."""


@dataclass(frozen=True)
class Answer:
    """An answer to one question.

    Attributes:
        question: what is asked.
        short: the answer in a few words.
        text: the numbers it rests on.
        mood: ``"good"``, ``"fair"``, ``"poor"`` or ``"open"``.
        trial: the trial that it speaks of.
    """

    question: str
    short: str
    text: str
    mood: str
    trial: int | None = None


def answers(
    frame: Frame,
    verdict: Verdict,
    summary: StudySummary,
    findings: Sequence[Finding] = (),
    confirming: StudySummary | None = None,
) -> list[Answer]:
    """Four answers; "too early" where nothing can be said yet."""
    following = next_step(frame, verdict, summary, findings, confirming)
    baselines = Baseline.all_of(summary.facts)
    if frame.best is None or verdict.number is None:
        short, why = "Too early to say", "No trial has a value yet."
        if len(frame) and not verdict.is_running:
            short, why = "Nothing to say", f"{words.count(len(frame), 'trial')}, and none has a value."
        asked = ("Does the search still improve?", "Does it over-fit?", "Which configuration to take?")
        return [*(Answer(question, short, why, "open") for question in asked), following]
    return [improvement(frame), fitting(frame, verdict.number), choice(verdict, baselines), following]


def improvement(frame: Frame) -> Answer:
    """Whether the best value fell within the newest trials."""
    asked = "Does the search still improve?"
    rows = np.flatnonzero(frame.rivals)
    lowest = np.minimum.accumulate(frame.loss[rows])
    numbers = frame.trials.number[rows]
    total = len(frame)
    last = int(numbers[np.flatnonzero(np.diff(lowest, prepend=np.inf) < 0)[-1]])
    newest = int(frame.trials.number[-1])
    since = newest - last
    if total < FEW:
        return Answer(asked, "Too early to say", f"{words.count(total, 'trial')} so far.", "open", last)
    before = lowest[numbers < newest * (1 - RECENT)]
    whole = float(lowest[0] - lowest[-1])
    recent = float(before[-1] - lowest[-1]) if len(before) else whole
    share = recent / whole if whole > 0 else 0.0
    found = f"The best so far is trial {last}, {words.count(since, 'trial')} ago"
    window = f"the newest {words.percent(RECENT)} of trials"
    if recent <= 0:
        text = f"{found}; {window} brought nothing better."
        return Answer(asked, "No, it is flat", text, "fair", last)
    gain = f"{window} brought {words.percent(share)} of the whole gain"
    if share < FLAT:
        return Answer(asked, "Hardly", f"{found}; {gain}.", "fair", last)
    return Answer(asked, "Yes", f"{found}; {gain}.", "good", last)


def fitting(frame: Frame, number: int) -> Answer:
    """From which epoch on a trial over-fits, how far its validation loss rises, and what drives the gap.

    Where there are no losses, the two sides of the number that is searched for stand for them.
    """
    asked = "Does it over-fit?"
    rows = np.flatnonzero(frame.trials.number == number)
    at = slice(*frame.bounds[rows[0] : rows[0] + 2]) if len(rows) else slice(0)
    searched = [names for names in frame.sides.values() if frame.objective.metric in names]
    for names, falls in (LOSSES, True), *((names, frame.objective.minimize) for names in searched):
        train, val = ((1 if falls else -1) * frame.reading(name)[at].astype(float) for name in names)
        if (np.isfinite(train) & np.isfinite(val)).any():
            break
    else:
        others = "" if frame.objective.metric in LOSSES else ", and no training side of what is searched for"
        return Answer(asked, "Not measured", f"The trainer reports no training loss{others}.", "open")
    training, validation = map(frame.label, names)
    worse, better = ("rise", "falls") if falls else ("fall", "rises")
    short, mood, text = "Too short to tell", "open", f"Trial {number}: "
    if can_tell_onset(val, train):
        (turn,), (rise,) = onsets(val, train, np.array([len(val)]))
        if turn < 0:
            short, mood = "No", "good"
            text += f"{validation} does not {worse} while {training} {better}. "
        else:
            short, mood = ("A little", "fair") if rise < RISEN else ("Yes", "poor")
            epoch = int(frame.epochs.epoch[at][turn])
            text += f"from epoch {epoch} on {validation} {worse}s, by {words.percent(rise)} until the end. "
    row = rows[0]
    at_best = [words.number(float(frame.at_best(name)[row])) for name in names]
    text += f"At its best epoch {training} {at_best[0]}, {validation} {at_best[1]}."
    driven = drivers(frame)
    if driven:
        text += f" The gap depends most on {driven}."
    return Answer(asked, short, text, mood, number)


def trainings(confirming: StudySummary) -> str:
    """How far a confirmation is, in words."""
    planned = confirming.parsed.budget.trials or confirming.started
    over = sum(n for state, n in confirming.counts.items() if TrialState(state).is_over)
    return f"{over:,} of {words.count(planned, 'training')} are over"


def drivers(frame: Frame, most: int = 2) -> str:
    """The settings that explain most of the gap, with the side on which it is small where that is clear."""
    shares = frame.importances.get("gap", Importances())
    return " and ".join(
        f"{name} ({words.percent(share)}{_way(frame, name)})" for name, share in [*shares.items()][:most]
    )


def _way(frame: Frame, name: str) -> str:
    side = smaller_gap_side(frame, name)
    return f"; {side}: smaller gap" if side else ""


def choice(verdict: Verdict, baselines: Sequence[Baseline] = ()) -> Answer:
    """The configuration to take, in the verdict's own words, and the baselines beside it."""
    is_confirmed = verdict.confirmation is not None
    simple = beside_simple(verdict, baselines)
    told = [simple.sentence] if simple is not None else []
    text = " ".join([*(decision(verdict) if is_confirmed else sentences(verdict)), *told])
    mood = "good" if is_confirmed and verdict.number != DEFAULT else "fair"
    return Answer("Which configuration to take?", short(verdict), text, mood, verdict.number)


def next_step(
    frame: Frame,
    verdict: Verdict,
    summary: StudySummary,
    findings: Sequence[Finding] = (),
    confirming: StudySummary | None = None,
) -> Answer:
    """What to do now, as a command, and what the findings advise for the next search."""
    asked, name = "What to do next?", quote(summary.name)
    advice = f" Then: {findings[0].advice}" if findings else ""
    if verdict.is_running:
        return Answer(asked, "Wait", f"The study is running; this page follows it.{advice}", "open")
    if confirming is not None:
        text = f"It is being confirmed: {trainings(confirming)}. The result will stand here.{advice}"
        return Answer(asked, "Wait", text, "open")
    if summary.confirms is not None:
        text = f"Its trainings judge '{summary.confirms}': `{summary.confirm_command}` says what to take."
        return Answer(asked, "See what it confirms", text, "open")
    failed = np.flatnonzero(frame.trials.is_(TrialState.FAILED) & ~frame.trials.imported)
    if verdict.number is None and len(failed):
        reason, count = Counter(frame.trials.reason[failed].tolist()).most_common(1)[0]
        number = int(frame.trials.number[failed[frame.trials.reason[failed] == reason][0]])
        text = f"{count:,} of {words.count(len(frame), 'trial')} failed"
        text += f" with {shortened(reason, 120).rstrip(' .:;')}"
        again = f"What it printed stands on the page of trial {number}; mend it, then `tune start` anew."
        return Answer(asked, "Look at why they failed", f"{text}. {again}", "poor", number)
    if verdict.confirmation is not None:
        use = f"`tune export {name} DIR` writes the model and its card."
        if verdict.model_path is None:
            use = f"`tune best {name}` shows its settings; its model was not kept."
        return Answer(asked, "Use it", f"{use}{advice}", "good")
    best, is_over = verdict.best, summary.state is StudyState.FINISHED
    if not is_over or best is None or not best.conclusive or verdict.trials < 2:
        command, comma, limit = (summary.goes_on if is_over else summary.resume_command).partition(", ")
        text = f"`{command}` goes on with the study{comma}{limit}.{advice}"
        return Answer(asked, "Search on", text, "open")
    return Answer(asked, "Confirm it", f"`{summary.confirm_command}` tells luck from gain.{advice}", "fair")
