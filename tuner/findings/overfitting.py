"""Over-fitting: validation gets worse while training still improves; and the setting that helps most.

Source: the Deep Learning Tuning Playbook's question of problematic over-fitting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.columns import Bools, Floats
from tuner.core.importances import Importances
from tuner.core.overfitting import can_tell_onset, onsets
from tuner.core.space import Choice
from tuner.findings.evidence import Evidence, clearly_against
from tuner.findings.finding import Finding, Severity, of_the_best

CLEAR = 3.0
"""Standard errors from which on a parameter has an effect: a chance of one in several hundred."""


@dataclass(frozen=True)
class GapEffect:
    """A parameter side that correlates with smaller gaps.

    Attributes:
        name: the parameter.
        way: ``"higher"``, ``"lower"`` or the choice.
        clear: its effect in standard errors.
        with_it: the median gap of trials on its good side.
        without: of the others.
    """

    name: str
    way: str
    clear: float
    with_it: float
    without: float


def find(evidence: Evidence) -> Finding | None:
    """Reported when at least half of the best trials turn."""
    judged = [turn for row in evidence.leaders.tolist() if (turn := _turn(evidence, row)) is not None]
    turned = [(epoch, rise) for epoch, rise in judged if epoch]
    if not turned or 2 * len(turned) < len(judged):
        return None
    epoch, rise = int(np.median([e for e, _ in turned])), float(np.median([r for _, r in turned]))
    numbers: dict[str, float | str] = {
        "epoch": epoch,
        "rise": rise,
        "trials": len(turned),
        "of_best": len(judged),
    }
    over_fits = "over-fits" if len(judged) == 1 else "over-fit"
    sentence = (
        f"{of_the_best(len(turned), len(judged))} {over_fits}: from about epoch {epoch} on validation loss "
        f"rises, by {words.percent(rise)} until the end, while training loss still falls"
    )
    effect = strongest_effect(evidence)
    if effect is None:
        tried = [n for n in ("dropout", "weight_decay", "l2") if n in evidence.frame.space.parameters]
        more = f"stronger {tried[0]}" if tried else "search dropout or weight_decay as well"
        advice = f"No setting clearly reduces it yet; try more data, {more}, or stop earlier: [stop] overfit."
        return Finding("overfitting", f"{sentence}.", numbers, advice, Severity.ADVICE)
    numbers |= {
        "parameter": effect.name,
        "way": effect.way,
        "gap_with": effect.with_it,
        "gap_without": effect.without,
    }
    side = (
        f"{effect.way} {effect.name}" if effect.way in ("higher", "lower") else f"{effect.name} {effect.way}"
    )
    return Finding(
        "overfitting",
        f"{sentence}; the setting that goes most with a smaller gap is {side} "
        f"(typical gap {words.number(effect.with_it, digits=3)}, otherwise "
        f"{words.number(effect.without, digits=3)}).",
        numbers,
        f"Search {side}, or stop earlier: [stop] overfit.",
        Severity.ADVICE,
    )


def strongest_effect(evidence: Evidence) -> GapEffect | None:
    """The setting that goes most with a smaller gap and that does not make the value clearly worse.

    Judged by ranks among the trials whose values stand: a trial that was cut short had no time to
    over-fit. Importances for the gap decide among several, where they are known.
    """
    known = evidence.standing & np.isfinite(evidence.frame.trials.gap)
    shares = evidence.frame.importances.get("gap", Importances())
    effects = []
    for name, way, side, place in _sides(evidence):
        rows = known & np.isfinite(place)
        clear = clearly_against(place[rows], evidence.frame.trials.gap[rows])
        # A setting that spoils training closes the gap, too.
        if clear < CLEAR or clearly_against(place[rows], evidence.loss[rows]) < -CLEAR:
            continue
        with_it, without = evidence.frame.trials.gap[rows & side], evidence.frame.trials.gap[rows & ~side]
        if len(with_it) and len(without) and np.median(with_it) < np.median(without):
            effects.append(GapEffect(name, way, clear, float(np.median(with_it)), float(np.median(without))))
    return max(effects, key=lambda each: (shares.get(each.name, 0.0), each.clear), default=None)


def _turn(evidence: Evidence, row: int) -> tuple[int, float] | None:
    """Where a trial turns, and its rise; (0, 0) for no turn, None where unknown."""
    curve = evidence.curve(row)
    if not can_tell_onset(curve.val_loss, curve.train_loss):
        return None
    at, rise = onsets(curve.val_loss, curve.train_loss, np.array([len(curve.val_loss)]))
    return (int(curve.epoch[at[0]]), float(rise[0])) if at[0] >= 0 else (0, 0.0)


def _sides(evidence: Evidence) -> list[tuple[str, str, Bools, Floats]]:
    """Every way to turn every parameter: name, way, (N,) which trials are on that side, (N,) how far."""
    sides: list[tuple[str, str, Bools, Floats]] = []
    for name, parameter in evidence.frame.space:
        if isinstance(parameter, Choice):
            column = evidence.frame.params[name]
            for choice in parameter.texts:
                mine = column == choice
                sides.append((name, choice, mine, np.where(column == "", np.nan, mine.astype(float))))
            continue
        shares = evidence.shares(name)
        active = evidence.standing & np.isfinite(shares)
        if active.any():
            middle = float(np.median(shares[active]))
            sides.append((name, "higher", shares > middle, shares))
            sides.append((name, "lower", shares < middle, -shares))
    return sides
