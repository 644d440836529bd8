"""Noisy: late in training the metric jumps by more than what sets the best trials apart.

After the Deep Learning Tuning Playbook's question of late step-to-step variance. Where the jumps
come from, batches, the learning rate or a small validation split, is not known here.
"""

from __future__ import annotations

import math

from tuner.findings.evidence import LEADERS, Evidence
from tuner.findings.finding import Finding, Severity

FEWEST = 3
"""Between fewer trials there is no order to doubt."""

LARGE = 0.02
"""Jumps below this share of what training gains are nobody's trouble."""


def find(evidence: Evidence) -> Finding | None:
    """Speaks when the best and the last of the best five differ by less than two jumps."""
    rows = evidence.ranking[:LEADERS]
    noise = evidence.noise
    if len(rows) < FEWEST or not math.isfinite(noise):
        return None
    loss = evidence.curve(int(rows[0])).loss
    whole = float(loss[0] - loss.min()) if len(loss) else 0.0
    apart = float(evidence.loss[rows[-1]] - evidence.loss[rows[0]])
    if apart >= 2 * noise or noise <= LARGE * whole or noise <= 0:
        return None
    return Finding(
        "noisy",
        f"Late in training {evidence.metric} jumps by about {noise:.2g} from epoch to epoch, and the best "
        f"{len(rows)} trials lie within {apart:.2g}: which of them is best is partly luck.",
        {"jumps": noise, "apart": apart, "trials": len(rows)},
        "Train the best few again with other seeds before choosing; a larger validation split, larger "
        "batches or a learning rate that falls towards the end calm the curve.",
        Severity.ADVICE,
    )
