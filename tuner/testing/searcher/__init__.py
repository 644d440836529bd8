"""What every searcher must do; a suite that third parties can run on their own.

Derive a test class, say how a searcher is made, and pytest runs the rest::

    class TestMySearcher(SearcherContract):
        def searcher(self, space: SearchSpace, seed: int = 0) -> Searcher:
            return MySearcher(space, seed)
"""

from __future__ import annotations

from tuner.testing.searcher.asking import AskingContract
from tuner.testing.searcher.records import ended, paused, worth
from tuner.testing.searcher.replaying import ChangedSpaceContract, ReplayContract
from tuner.testing.searcher.spaces import changed_spaces, conditional_space, small_space, spaces

__all__ = [
    "SearcherContract",
    "changed_spaces",
    "conditional_space",
    "ended",
    "paused",
    "small_space",
    "spaces",
    "worth",
]


class SearcherContract(AskingContract, ReplayContract, ChangedSpaceContract):
    """All that a searcher must do. Derive from it; what `searcher` returns is put to the test."""
