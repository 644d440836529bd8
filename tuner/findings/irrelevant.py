"""Irrelevant: parameters that do not decide which trials are good, although many of their values were tried.

The candidates come with the evidence (`Importances.idle`), where every trial
counts by its rank, those that were cut short behind the others.
"""

from __future__ import annotations

import numpy as np

from tuner.core import words
from tuner.core.columns import Floats
from tuner.core.importances import Importances
from tuner.core.space import Choice
from tuner.findings.evidence import Evidence, clearly_against
from tuner.findings.finding import Finding, Severity

FEWEST = 40
"""With fewer trials an effect may not be visible yet."""

LITTLE_GAP = 0.1
"""A parameter that explains this much of the gap still has its use."""

VARIED = 0.25
"""Half of the trials must spread over this share of the range, and so many must have another choice
than the commonest: where a sampler soon tried only one value, the effect of others is unknown."""

CLEAR = 3.0
"""Standard errors from which on a parameter correlates with the order of the trials."""

NAMED = 4
"""Names in a sentence at most."""


def find(evidence: Evidence) -> Finding | None:
    """Report all such parameters at once."""
    value, gap = (evidence.frame.importances.get(name, Importances()) for name in ("value", "gap"))
    if int(evidence.valued.sum()) < FEWEST or not value:
        return None
    orders = [_order(evidence, loss) for loss in evidence.frame.losses.T]
    names = [
        name
        for name in value.idle
        if gap.get(name, 0.0) < LITTLE_GAP
        and name in evidence.frame.space.parameters
        and all(_is_idle(evidence, name, order) for order in orders)
    ]
    if not names:
        return None
    shown = names if len(names) <= NAMED + 1 else [*names[:NAMED], f"{len(names) - NAMED} others"]
    do, them = ("does", "it") if len(names) == 1 else ("do", "them")
    return Finding(
        "irrelevant",
        f"{words.listed(shown)} {do} not seem to matter here: the values of {value.trials} trials do not "
        f"vary with {them}.",
        {"parameters": ", ".join(names), "trials": value.trials},
        f"Fix {them} as in the best trial, under [space.fixed]; fewer settings are searched faster.",
        Severity.NOTE,
    )


def _order(evidence: Evidence, loss: Floats) -> Floats:
    """(N,) places of the trials with a value by an objective, less is better (N,); those cut short behind."""
    rows = np.flatnonzero(evidence.valued)
    depth = np.where(evidence.standing[rows], 0, -evidence.frame.trials.epochs[rows])
    places = np.full(len(evidence), np.nan)
    by = np.lexsort((loss[rows], depth, ~evidence.standing[rows]))
    places[rows[by]] = np.arange(len(rows))
    return places


def _is_idle(evidence: Evidence, name: str, order: Floats) -> bool:
    """Whether many of its values were tried, and none correlates with the order of the trials."""
    parameter, column = evidence.frame.space.parameters[name], evidence.frame.params[name]
    if isinstance(parameter, Choice):
        rows = evidence.valued & (column != "")
        places = [(column[rows] == choice).astype(np.float64) for choice in parameter.texts]
        varied = bool(rows.any()) and max(float(place.mean()) for place in places) <= 1 - VARIED
    else:
        shares = evidence.shares(name)
        rows = evidence.valued & np.isfinite(shares)
        places = [shares[rows]]
        varied = bool(rows.any()) and float(np.subtract(*np.quantile(shares[rows], [0.75, 0.25]))) >= VARIED
    return varied and all(abs(clearly_against(place, order[rows])) < CLEAR for place in places)
