"""Training spans: when each trial trained, as well as its epochs' seconds tell; what is left, it waited.

When a trial was paused is not stored. Where the pruner pauses trials, one is taken to have trained from its
start on and up to its end, and to have waited equally long at each epoch at which the pruner judges; where
it only stops them, none waited. Epochs' seconds are a trial's share of
the time, so that trials that train side by side take longer than their seconds.
"""

from __future__ import annotations

import numpy as np

from tuner.core.columns import Bools, Floats, Ints
from tuner.core.frame import Frame
from tuner.core.trial import TrialState


def spans(frame: Frame, order: Ints, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """When trials trained.

    Args:
        frame: the study.
        order: (P,) rows of the trials, in the order of their starts.
        start: (P,) when they started, in seconds.
        end: (P,) when they ended.

    Returns:
        (S,) where each span begins, and (S,) where it ends. A trial that never waited has one.
    """
    trials = frame.trials
    if not (frame.pauses or trials.is_(TrialState.PAUSED).any()):
        return start, end
    is_left = trials.is_(TrialState.PAUSED) | (trials.is_(TrialState.STOPPED) & (trials.rule == "pruner"))
    rungs = np.unique(trials.epochs[is_left & (trials.epochs > 0)])
    parts = [_parts(frame, int(row), rungs) for row in order.tolist()]
    may_wait = np.array([len(part) > 1 for part in parts], dtype=bool) | is_left[order]
    factor = _stretch(start, end, parts, may_wait)
    begins, ends = [], []
    for i, part in enumerate(parts):
        length, whole = factor * part, float(end[i] - start[i])
        if not may_wait[i] or not 0 < length.sum() < whole:
            begins.append(float(start[i]))
            ends.append(float(end[i]))
            continue
        gaps = len(part) if is_left[order[i]] else len(part) - 1
        at = start[i] + np.cumsum(length) - length + np.arange(len(part)) * (whole - length.sum()) / gaps
        begins += at.tolist()
        ends += (at + length).tolist()
    return np.array(begins), np.array(ends)


def _parts(frame: Frame, row: int, rungs: Ints) -> Floats:
    """The seconds that a trial trained up to each rung, and behind the last one that it reached."""
    at = slice(*frame.bounds[row : row + 2])
    seconds = np.nan_to_num(frame.epochs.seconds[at].astype(float), posinf=0.0, neginf=0.0)
    part = np.searchsorted(rungs, frame.epochs.epoch[at])
    return np.bincount(part, seconds)[np.unique(part)].astype(np.float64) if len(part) else np.zeros(1)


def _stretch(start: Floats, end: Floats, parts: list[Floats], may_wait: Bools) -> float:
    """How much longer an epoch took than its seconds say.

    It is told by the trials that never waited. Where all may have, it is the number that began before the
    first of them can have been paused: so many trained side by side.
    """
    own = np.array([part.sum() for part in parts])
    known = ~may_wait & (own > 0) & (end > start)
    if known.any():
        return max(1.0, float(np.median((end - start)[known] / own[known])))
    first = float(np.mean([part[0] for part in parts]))
    later = np.flatnonzero(start - start[0] >= 0.5 * np.arange(len(start)) * first)
    return float(max(1, next((int(i) for i in later if i > 0), len(start))))
