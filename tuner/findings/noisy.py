"""Noisy: the metric's noise is larger than the differences between the best trials.

Source: the Deep Learning Tuning Playbook's questions of variance: from seed to seed where the best few
were trained again, else from epoch to epoch late in training.
"""

from __future__ import annotations

import math

from tuner.core import words
from tuner.core.columns import Ints
from tuner.findings.evidence import LEADERS, Evidence
from tuner.findings.finding import Finding, Severity

FEWEST = 3
"""Fewer trials have no order to doubt."""

LARGE = 0.02
"""Jumps below this share of what training gains are harmless."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when the best and the last of the best five differ by less than twice the noise."""
    rows = evidence.ranking[:LEADERS]
    if len(rows) < FEWEST:
        return None
    apart = float(evidence.loss[rows[-1]] - evidence.loss[rows[0]])
    return _jumping(evidence, rows, apart) if evidence.spread is None else _lucky(evidence, rows, apart)


def _lucky(evidence: Evidence, rows: Ints, apart: float) -> Finding | None:
    """From the confirmation's noise from seed to seed."""
    spread = evidence.spread or 0.0
    if apart >= 2 * spread:
        return None
    much, within = (words.number(value, digits=2) for value in (spread, apart))
    return Finding(
        "noisy",
        f"Trained again with another seed, {evidence.metric} comes out about {much} "
        f"higher or lower, and the best {len(rows)} trials lie within {within}: which of "
        "them is best is partly luck.",
        {"spread": spread, "apart": apart, "trials": len(rows)},
        "To judge every trial by several seeds: [trainer] repeats = 3.",
        Severity.NOTE,
    )


def _jumping(evidence: Evidence, rows: Ints, apart: float) -> Finding | None:
    """From the jumps of the best trials' curves."""
    noise = evidence.noise
    if not math.isfinite(noise):
        return None
    loss = evidence.curve(int(rows[0])).loss
    whole = float(loss[0] - loss.min()) if len(loss) else 0.0
    if apart >= 2 * noise or noise <= LARGE * whole or noise <= 0:
        return None
    much, within = (words.number(value, digits=2) for value in (noise, apart))
    return Finding(
        "noisy",
        f"Late in training {evidence.metric} jumps by about {much} from epoch to "
        f"epoch, and the best {len(rows)} trials lie within {within}: which of them is "
        "best is partly luck.",
        {"jumps": noise, "apart": apart, "trials": len(rows)},
        "Train the best few again with other seeds before choosing: tune confirm. A larger validation split, "
        "larger batches or a learning rate that falls towards the end calm the curve.",
        Severity.ADVICE,
    )
