"""Over-fitting: from some epoch on validation gets worse while training still gets better; what helps most.

After the Deep Learning Tuning Playbook's question of problematic over-fitting. Which parameters
regularize is not known here: the lever is what went along with small gaps in this study.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.core.space import Choice
from tuner.findings.evidence import Bools, Evidence, Floats, noise_of, smooth
from tuner.findings.finding import Finding, Severity, of_the_best
from tuner.findings.ranks import clearly_against

FEWEST_EPOCHS = 6
"""A shorter curve has no turn that could be told from a jump."""

RISE = 0.05
"""Validation loss must rise again by this share of what it fell, and by more than two jumps."""

CLEAR = 3.0
"""A lever must be so many standard errors from doing nothing: a chance of one in several hundred."""


@dataclass(frozen=True)
class Lever:
    """A parameter that went along with smaller gaps.

    Attributes:
        name: the parameter.
        way: ``"higher"``, ``"lower"`` or the choice.
        clear: how many standard errors it stands from doing nothing.
        with_it: the median gap of trials on its good side.
        without: of the others.
    """

    name: str
    way: str
    clear: float
    with_it: float
    without: float


def find(evidence: Evidence) -> Finding | None:
    """Speaks when at least half of the best trials turn."""
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
        f"rises, by {rise:.0%} until the end, while training loss still falls"
    )
    lever = strongest(evidence)
    if lever is None:
        tried = [n for n in ("dropout", "weight_decay", "l2") if n in evidence.space.parameters]
        more = f"stronger {tried[0]}" if tried else "search dropout or weight_decay as well"
        advice = (
            f"No setting stood out against it yet; try more data, {more}, or stop earlier: [stop] patience."
        )
        return Finding("overfitting", f"{sentence}.", numbers, advice, Severity.ADVICE)
    numbers |= {
        "lever": lever.name,
        "way": lever.way,
        "gap_with": lever.with_it,
        "gap_without": lever.without,
    }
    side = f"{lever.way} {lever.name}" if lever.way in ("higher", "lower") else f"{lever.name} {lever.way}"
    return Finding(
        "overfitting",
        f"{sentence}; what went along most with a smaller gap is {side} "
        f"(typical gap {lever.with_it:.3g}, otherwise {lever.without:.3g}).",
        numbers,
        f"Search {side}, or stop earlier: [stop] patience.",
        Severity.ADVICE,
    )


def strongest(evidence: Evidence) -> Lever | None:
    """The strongest lever against the gap that does not make the value clearly worse.

    Judged by ranks among the trials whose values stand: a trial that was cut short had no time to
    over-fit. Importances for the gap decide among several, where they are known.
    """
    known = evidence.standing & np.isfinite(evidence.gap)
    shares = evidence.importances.get("gap", {})
    levers = []
    for name, way, side, place in _sides(evidence):
        rows = known & np.isfinite(place)
        effect = clearly_against(place[rows], evidence.gap[rows])
        # A setting that spoils training closes the gap, too.
        if effect < CLEAR or clearly_against(place[rows], evidence.loss[rows]) < -CLEAR:
            continue
        with_it, without = evidence.gap[rows & side], evidence.gap[rows & ~side]
        if len(with_it) and len(without) and np.median(with_it) < np.median(without):
            levers.append(Lever(name, way, effect, float(np.median(with_it)), float(np.median(without))))
    return max(levers, key=lambda lever: (shares.get(lever.name, 0.0), lever.clear), default=None)


def _turn(evidence: Evidence, row: int) -> tuple[int, float] | None:
    """The epoch with the lowest validation loss and the relative rise after it; (0, 0) for no turn."""
    curve = evidence.curve(row)
    val, train = curve.val_loss, curve.train_loss
    if len(val) < FEWEST_EPOCHS or not (np.isfinite(val).all() and np.isfinite(train).all()):
        return None
    level, training = smooth(val), smooth(train)
    at = int(np.argmin(level))
    rise = float(level[-1] - level[at])
    fell = float(val[0] - level[at])
    if not rise > max(2 * noise_of(val), RISE * max(fell, 0.0), 0.0) or not training[-1] < training[at]:
        return 0, 0.0
    epoch = int(curve.epoch[at + int(np.argmin(val[at : at + 3]))])
    base = abs(float(level[at]))
    return (epoch, rise / base) if base > 0 else (0, 0.0)


def _sides(evidence: Evidence) -> list[tuple[str, str, Bools, Floats]]:
    """Every way to turn every parameter: name, way, (N,) who is on that side, (N,) how far."""
    sides: list[tuple[str, str, Bools, Floats]] = []
    for name, parameter in evidence.space:
        if isinstance(parameter, Choice):
            column = evidence.params[name]
            for choice in parameter.choices:
                mine = column == str(choice)
                sides.append((name, str(choice), mine, np.where(column == "", np.nan, mine.astype(float))))
            continue
        shares = evidence.shares(name)
        active = evidence.standing & np.isfinite(shares)
        if active.any():
            middle = float(np.median(shares[active]))
            sides.append((name, "higher", shares > middle, shares))
            sides.append((name, "lower", shares < middle, -shares))
    return sides
