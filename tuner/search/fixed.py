"""A searcher of configurations that are known beforehand: the best of a study, trained again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.core.trial import Origin, Params, Trial, TrialRecord
from tuner.errors import SpecError


class FixedSearcher:
    """Hands out configurations in their order, and nothing else; a `Searcher`.

    Args:
        listed: the configurations.
        seed: of every trial.
    """

    def __init__(self, listed: Sequence[Params], seed: int) -> None:
        self._listed, self._seed, self._next = listed, seed, 0

    def ask(self, count: int) -> list[Trial]:
        """The next ones."""
        numbers = range(self._next, min(self._next + count, len(self._listed)))
        self._next = numbers.stop
        return [Trial(number, self._listed[number], self._seed, Origin.CONFIRMING) for number in numbers]

    def take(self, given: Params) -> Trial:
        """Nothing but what is listed is trained again."""
        raise SpecError(f"{dict(given)}: this study trains the best of another one again; enqueue it there")

    def learn(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002
        """Its configurations are as they are."""
        return {}

    def tell(self, records: Sequence[TrialRecord]) -> None:
        """Nothing is learned."""

    def replay(self, history: Sequence[TrialRecord]) -> None:
        """Go on behind what is stored."""
        self._next = len(history)
