"""Verdict: whether the search still improves, what over-fits, and which configuration to take.

Sentences and the numbers they rest on, from a frame alone; how they look is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.importances import Importances
from tuner.figures import Frame
from tuner.figures.importances import lever

RECENT = 0.2
"""The share of the newest trials within which an improvement counts as recent."""

FLAT = 0.02
"""A recent gain below this share of the whole gain is called small."""

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


def answers(frame: Frame, confirmed: Mapping[str, Any] | None = None) -> list[Answer]:
    """Three answers; "too early" where nothing can be said yet.

    Args:
        frame: the study.
        confirmed: what came of its confirmation, where there was one.
    """
    if frame.best is None:
        early = "No trial has a value yet."
        asked = ("Does the search still improve?", "Does it over-fit?", "Which configuration to take?")
        return [Answer(question, "Too early to say", early, "open") for question in asked]
    last = choice(frame) if confirmed is None else confirmation(frame, confirmed)
    return [improvement(frame), fitting(frame), last]


def improvement(frame: Frame) -> Answer:
    """Whether the best value fell within the newest trials."""
    asked = "Does the search still improve?"
    rows = np.flatnonzero(frame.standing)
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
    window = f"the newest {RECENT:.0%} of trials"
    if recent <= 0:
        text = f"{found}; {window} brought nothing better."
        return Answer(asked, "No, it is flat", text, "poor", last)
    gain = f"{window} brought {words.percent(share)} of the whole gain"
    if share < FLAT:
        return Answer(asked, "Hardly", f"{found}; {gain}.", "fair", last)
    return Answer(asked, "Yes", f"{found}; {gain}.", "good", last)


def fitting(frame: Frame) -> Answer:
    """How far the best trial's validation loss lies above its training loss, and what drives the gap."""
    asked = "Does it over-fit?"
    trials, best = frame.trials, frame.best
    gap = float(trials.gap[best]) if best is not None else np.nan
    if best is None or not np.isfinite(gap):
        return Answer(asked, "Not measured", "The trainer reports no training loss.", "open")
    loss = float(trials.val_loss[best])
    share = gap / abs(loss) if loss else 0.0
    training = float(trials.train_loss[best])
    times = f", {loss / training:.1f} times as high" if training > 0 and loss > training else ""
    base = (
        f"Trial {int(trials.number[best])}: training loss {words.number(training)}, "
        f"validation {words.number(loss)}{times}; gap {words.number(gap)}."
    )
    default = np.flatnonzero(trials.number == 0)
    if len(default) and np.isfinite(trials.gap[default[0]]):
        base += f" The default's gap: {words.number(float(trials.gap[default[0]]))}."
    driven = drivers(frame)
    if driven:
        base += f" The gap depends most on {driven}."
    first = float(trials.gap[default[0]]) if len(default) else np.nan
    if share >= 0.2 and gap < first:
        return Answer(asked, "Less than the default", base, "fair", int(trials.number[best]))
    if share < 0.2:
        return Answer(asked, "Hardly", base, "good", int(trials.number[best]))
    if share < 0.6:
        return Answer(asked, "Somewhat", base, "fair", int(trials.number[best]))
    return Answer(asked, "Yes", base, "poor", int(trials.number[best]))


def drivers(frame: Frame, most: int = 2) -> str:
    """The settings that explain most of the gap, with the side on which it is small where that is clear."""
    shares = frame.importances.get("gap", Importances())
    return " and ".join(
        f"{name} ({words.percent(share)}{_way(frame, name)})" for name, share in [*shares.items()][:most]
    )


def _way(frame: Frame, name: str) -> str:
    side = lever(frame, name)
    return f"; {side}: smaller gap" if side else ""


def choice(frame: Frame) -> Answer:
    """The best trial beside the default configuration."""
    asked = "Which configuration to take?"
    best = frame.best
    if best is None:
        return Answer(asked, "None yet", "No trial has a value yet.", "open")
    trials, metric = frame.trials, frame.objective.metric
    number, value = int(trials.number[best]), float(trials.value[best])
    default = np.flatnonzero(trials.number == 0)
    text = f"{metric} {words.number(value)}"
    mood = "good"
    if len(default) and number != 0 and np.isfinite(trials.value[default[0]]):
        first = float(trials.value[default[0]])
        way = "lower" if frame.objective.minimize else "higher"
        by = f", {words.percent(abs(value - first) / abs(first))} {way}" if first else ""
        text += f"; the default configuration has {words.number(first)}{by}"
    elif number == 0:
        text += "; nothing has beaten the default configuration yet"
        mood = "fair"
    different = changes(frame, best)
    if different:
        told = ", ".join(f"{name} {words.setting(value)}" for name, value in [*different.items()][:4])
        text += f". It differs most in {told}"
    return Answer(asked, f"Trial {number}", text + ".", mood, number)


def confirmation(frame: Frame, confirmed: Mapping[str, Any]) -> Answer:
    """The configuration that was recommended when the best ones were trained again."""
    chosen, tied = confirmed["choice"]["recommended"], confirmed["choice"]["tied"]
    metric = confirmed["metric"]
    candidates = {each["number"]: each["values"] for each in confirmed["candidates"]}
    # One that failed in a repeat has no mean, and is not the one to take.
    means = {number: float(np.mean(values)) for number, values in candidates.items() if None not in values}
    text = f"Trained again it has {metric} {words.number(means[chosen])} on average"
    if 0 in means and chosen != 0:
        text += f", the default configuration {words.number(means[0])}"
    others = [number for number in tied if number != chosen]
    if others:
        text += (
            f". It cannot be told apart from {words.count(len(others), 'other trial')}, and is the cheapest"
        )
    naive = (
        f"The search's best value, {words.number(confirmed['naive'])}, was one lucky measurement among many"
    )
    is_lucky = frame.objective.better(confirmed["naive"], means[chosen])
    end = f" {naive}." if is_lucky else ""
    short = f"Trial {chosen}, confirmed" if chosen else "The default configuration"
    return Answer(
        "Which configuration to take?", short, f"{text}.{end}", "good" if chosen else "fair", chosen
    )


def changes(frame: Frame, row: int) -> Mapping[str, Any]:
    """A trial's settings that differ from the default configuration's, the most important first."""
    default = np.flatnonzero(frame.trials.number == 0)
    if not len(default):
        return {}
    found = {}
    for name in frame.ordered_params():
        mine, its = frame.params[name][row], frame.params[name][default[0]]
        is_same = mine == its or (mine != mine and its != its)
        if not is_same and mine != "" and mine == mine:
            found[name] = mine
    return found
