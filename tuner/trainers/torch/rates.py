"""Rates of parts: `[trainer.rates]`, by which some parts of a network learn more slowly, or not at all.

Patterns are those of file names, over the names of `named_parameters()`; the last one that fits counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn

from tuner.errors import TrialError

_SHOWN = 8


def shares(module: nn.Module, rates: Mapping[str, float]) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by, by its name.

    Args:
        module: the network.
        rates: by pattern; without one it is 1.

    Raises:
        TrialError: a pattern fits nothing.
    """
    found = {name: 1.0 for name, _ in module.named_parameters()}
    for pattern, share in rates.items():
        fitting = [name for name in found if fnmatchcase(name, pattern)]
        if not fitting:
            names = ", ".join(list(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
            raise TrialError(f"trainer.rates: {pattern!r} fits no parameter of the network; it has {names}")
        found |= dict.fromkeys(fitting, share)
    return found
