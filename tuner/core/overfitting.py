"""Over-fitting as a quantity: the gap, and the epoch from which validation worsens as training improves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.core import words
from tuner.core.trial import Reading

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_EPOCHS = 6
"""A shorter curve has no turn that could be told from a jump."""

LATE = 12
"""So many of a curve's last epochs, or half of them where that is more, say how far it jumps."""

RISE = 0.05
"""Validation loss must rise again by this share of what it fell."""

JUMPS = 4.0
"""It must also rise by so many jumps. Of 30 epochs that only scatter about a level, with a question
after each, one in eight is said to turn; of those that still fall under noise, less than one in a hundred."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """How much a trial over-fits.

    Attributes:
        gap: val_loss - train_loss at the best epoch; `nan` where there is none.
        gap_last: at the last epoch.
        onset_epoch: the epoch with the lowest validation loss; None where the curve does not turn.
        rise: how far validation loss has risen since, smoothed, as a share of that lowest one; 0 likewise.
    """

    gap: float
    gap_last: float
    onset_epoch: int | None
    rise: float

    @classmethod
    def of(cls, curve: Sequence[Reading], best: Reading | None) -> Overfitting:
        """Measure a curve, whose best epoch by the objective is known."""
        epoch, rise = onset(curve) or (None, 0.0)
        gap = math.nan if best is None else best.gap
        return cls(gap, curve[-1].gap if curve else math.nan, epoch, rise)


def onset(curve: Sequence[Reading]) -> tuple[int, float] | None:
    """The epoch from which a curve over-fits, and its rise; None where it does not, or is too short."""
    val, train = (np.array([r.get(name) for r in curve], np.float64) for name in ("val_loss", "train_loss"))
    at, rise = onsets(val, train, np.array([len(curve)]))
    return (curve[at[0]].epoch, float(rise[0])) if at[0] >= 0 else None


def of_trials(
    val: Floats, train: Floats, epoch: Ints, sizes: Ints
) -> tuple[list[int | None], list[float], list[float]]:
    """The onset's epoch, the rise and the gap at the last epoch of N trials, as `Overfitting` has them.

    Args:
        val: (E,) validation losses of all curves, end to end.
        train: (E,) training losses.
        epoch: (E,) the epochs' numbers.
        sizes: (N,) how many epochs each curve has.
    """
    val, train = (np.asarray(each, np.float64) for each in (val, train))
    at, rise = onsets(val, train, sizes)
    ends = np.cumsum(sizes)
    turns = [None if a < 0 else int(epoch[start + a]) for a, start in zip(at, ends - sizes, strict=True)]
    last = np.append(val - train, np.nan)[np.where(sizes > 0, ends - 1, len(val))]
    return turns, rise.tolist(), last.tolist()


def can_tell_onset(val: Floats, train: Floats) -> bool:
    """Whether two curves (E,) have enough epochs with both numbers to tell an onset."""
    return int((np.isfinite(val) & np.isfinite(train)).sum()) >= FEWEST_EPOCHS


def told(onset_epoch: int | None, rise: float, *, can_tell: bool) -> str:
    """Whether a trial over-fits, in words; `can_tell` is what `can_tell_onset` says of its curves."""
    if onset_epoch is not None:
        risen = f"{words.metric('val_loss')} has risen by {words.percent(rise)} since"
        return f"it over-fits from epoch {onset_epoch} on: {risen}"
    return "it does not over-fit" if can_tell else "too few epochs with both losses to tell if it over-fits"


def onsets(val: Floats, train: Floats, sizes: Ints) -> tuple[Ints, Floats]:
    """Where each of N curves, end to end, begins to over-fit.

    Both losses are smoothed over three epochs, what is not finite being passed over. A curve turns
    where validation loss has risen since its lowest point by more than `JUMPS` of its own jumps
    and more than `RISE` of what it fell before, while training loss has gone on falling. A jump is the
    standard deviation of the late epochs, from second differences, which a slope leaves at zero;
    from their median, so that a single one does not count: for independent noise of deviation s
    it is 0.6745 * sqrt(6) * s.

    Args:
        val: (E,) validation losses of all curves.
        train: (E,) training losses.
        sizes: (N,) how many epochs each curve has.

    Returns:
        (N,) the place in its curve of the lowest validation loss, -1 where it does not turn; and
        (N,) `Overfitting.rise`.
    """
    at, rise = np.full(len(sizes), -1, dtype=np.int64), np.zeros(len(sizes))
    long = np.flatnonzero(sizes >= FEWEST_EPOCHS)
    if not len(long):
        return at, rise
    if len(long) < len(sizes):
        kept = np.repeat(sizes >= FEWEST_EPOCHS, sizes)
        val, train = val[kept], train[kept]
    counts = sizes[long]
    ends = np.cumsum(counts)
    starts = ends - counts
    level, training = _smoothed(val, starts, ends), _smoothed(train, starts, ends)
    safe = np.where(np.isfinite(level), level, np.inf)
    lowest = np.minimum.reduceat(safe, starts)
    hits = np.flatnonzero(safe == np.repeat(lowest, counts))
    low = hits[np.searchsorted(hits, starts)]
    with np.errstate(invalid="ignore", over="ignore"):
        risen, fell = level[ends - 2] - lowest, np.nan_to_num(val[starts] - lowest, posinf=0.0, neginf=0.0)
        bar = np.maximum(np.maximum(JUMPS * _noise(val, counts), RISE * fell), 0.0)
        turned = (risen > bar) & (training[ends - 2] < training[low]) & np.isfinite(lowest) & (lowest != 0)
    low, row = low[turned], long[turned]
    around = val[low + np.array([[-1], [0], [1]])]
    at[row] = low - 1 + np.where(np.isfinite(around), around, np.inf).argmin(axis=0) - starts[turned]
    with np.errstate(over="ignore"):
        rise[row] = risen[turned] / np.abs(lowest[turned])
    return at, rise


def _smoothed(y: Floats, starts: Ints, ends: Ints) -> Floats:
    """(E,) the mean of each epoch and its two neighbours; `nan` at the ends of curves."""
    fine = np.isfinite(y)
    clean, found = np.where(fine, y, 0.0), np.full(len(y), np.nan)
    count = fine[:-2].astype(float) + fine[1:-1] + fine[2:]
    with np.errstate(invalid="ignore", over="ignore"):
        found[1:-1] = (clean[:-2] + clean[1:-1] + clean[2:]) / count
    found[starts] = found[ends - 1] = np.nan
    return found


def _noise(y: Floats, counts: Ints) -> Floats:
    """(N,) how far each curve jumps in its late epochs; `nan` where that cannot be told."""
    ends, late = np.cumsum(counts), np.minimum(np.maximum(LATE, counts // 2), counts)
    line = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(y))
    with np.errstate(invalid="ignore", over="ignore"):
        jumps = np.abs(y[2:] - 2 * y[1:-1] + y[:-2])
    # A difference belongs to the last of its three epochs, all of which are late ones.
    here = (place >= (ends - late + 2)[line])[2:] & np.isfinite(jumps)
    jumps, line = jumps[here], line[2:][here]
    sizes = np.bincount(line, minlength=len(counts))
    firsts = np.cumsum(sizes) - sizes
    found = np.full(len(counts), np.nan)
    # Curves of one length lie in a table: to sort all jumps by curve takes ten times as long.
    for size in np.unique(sizes[sizes > 0]).tolist():
        alike = np.flatnonzero(sizes == size)
        found[alike] = np.median(jumps[firsts[alike, None] + np.arange(size)], axis=1)
    return found / (0.6745 * math.sqrt(6))
