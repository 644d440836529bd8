"""Importances: what the parameters explain of a study's results, and on how much that rests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tuner.core import words


@dataclass(frozen=True, eq=False)
class Importances(Mapping[str, float]):
    """Shares by parameter, the highest first; as a mapping it gives the shares alone.

    A share is that of the differences between trials which the parameter explains, 0 to 1. Together
    the shares are what all parameters explain; the rest is noise, or more than can be seen. Only
    parameters that chance does not explain as well are named.

    Attributes:
        trials: how many trials it rests on.
        needed: about how many it takes to see a parameter that explains half.
        shares: by parameter.
        errors: the standard error of each share.
        idle: the other parameters that were judged: their shares cannot be told from nothing.
        second: what another method says: how much each parameter sets the best tenth of the trials apart
            from all (PED-ANOVA), as shares that sum to 1; empty where nobody asked, or of few trials.
    """

    trials: int = 0
    needed: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    second: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.shares[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shares)

    def __len__(self) -> int:
        return len(self.shares)

    @property
    def second_opinion(self) -> str:
        """Whether the second method names the same parameter first, in words; empty without one."""
        if not self.shares or not self.second:
            return ""
        mine, its = (max(each, key=lambda name: each[name]) for each in (self.shares, self.second))
        if mine == its:
            return f"PED-ANOVA, by the best tenth: {mine} first, too"
        other = words.percent(self.second.get(mine, 0.0))
        return (
            f"PED-ANOVA, by the best tenth: {its} first ({words.percent(self.second[its])}; {mine} {other})"
        )

    @property
    def silence(self) -> str:
        """Why nothing is named, as a sentence; empty where something is."""
        if self.shares:
            return ""
        if not self.needed:
            return "Which settings mattered is not known yet."
        if self.trials < self.needed:
            return (
                f"Too few trials to tell which settings mattered: {self.trials} of about {self.needed} that "
                "it takes."
            )
        return f"No setting stands out: the difference between {self.trials} trials looks like chance."
