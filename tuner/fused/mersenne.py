"""Mersenne: the numbers that PyTorch's generator of the CPU draws, without PyTorch.

A trial has the same order of samples and the same first weights whether it trains in a row, which must not
wait for `import torch`, or in a session, which draws from `torch.Generator`. The engine is MT19937 (Matsumoto
and Nishimura 1998), as in numpy; what is made of its words follows ATen's `randperm_cpu` and `normal_fill`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.compiled import njit_cached
from tuner.fused.layout import Floats

_WORDS = 624

_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),
        ("seeded", "<i4"),
        ("next", "<u8"),
        ("words", "<u8", _WORDS),
        ("rest", "V40"),
    ]
)
"""What `torch.Generator.get_state` returns; the rest is what is left of normal numbers."""

_PAIR = 8
"""Normal numbers come in pairs, as far apart as this."""


class Mersenne:
    """A stream of numbers."""

    def __init__(self, seed: int) -> None:
        """Args: seed: in [0, 2**32)."""
        self._seed = seed
        self._engine: Any = np.random.MT19937()
        self._second: list[float] = []
        self._engine._legacy_seeding(seed)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """0, 1, ..., count - 1 in a random order."""
        found = np.arange(count)
        _shuffle(found, self._engine.random_raw(max(count - 1, 0)))
        return found

    def uniform(self, count: int) -> Floats:
        """Numbers in [0, 1)."""
        words: NDArray[np.uint64] = self._engine.random_raw(count) & np.uint64(2**24 - 1)
        return words.astype(np.float32) * np.float32(2.0**-24)

    def normal(self, count: int) -> Floats:
        """Standard normal numbers (Box and Muller 1958), equal to PyTorch's but for the last bits."""
        if count < 2 * _PAIR:
            return self._few_normal(count)
        found = self.uniform(count)
        whole = count - count % (2 * _PAIR)
        found[:whole] = _normal(found[:whole])
        if whole < count:
            found[-2 * _PAIR :] = _normal(self.uniform(2 * _PAIR))
        return found

    def state(self) -> NDArray[np.uint8]:
        """Where it stands, as bytes that `torch.Generator` takes."""
        own = self._engine.state["state"]
        table = np.zeros(1, _STATE)
        table["seed"], table["seeded"], table["words"] = self._seed, 1, own["key"]
        table["next"], table["left"] = own["pos"], _WORDS + 1 - own["pos"]
        return table.view(np.uint8)

    def restore(self, state: NDArray[Any]) -> None:
        """Go on from what `state` returned, or a `torch.Generator`."""
        table = np.frombuffer(state.tobytes(), _STATE)[0]
        self._seed = int(table["seed"])
        place = _WORDS if table["left"] == 1 else int(table["next"])
        own = {"key": table["words"].astype(np.uint32), "pos": place}
        self._engine.state = {"bit_generator": "MT19937", "state": own}

    def _few_normal(self, count: int) -> Floats:
        """Fewer than a block are drawn one by one, in double precision; of a pair the second one waits."""
        drawn = self._second + self._pairs(-(-(count - len(self._second)) // 2)) if count else []
        self._second = drawn[count:] if count else self._second
        return np.array(drawn[:count], np.float32)

    def _pairs(self, count: int) -> list[float]:
        words = self._engine.random_raw(4 * count).reshape(-1, 2)
        shares = ((words[:, 0] << np.uint64(32) | words[:, 1]) & np.uint64(2**53 - 1)).astype(np.float64)
        turn, size = (shares * 2.0**-53).reshape(-1, 2).T
        radius, angle = np.sqrt(-2 * np.log1p(-size)), 2 * math.pi * turn
        found: list[float] = (
            np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel().tolist()
        )
        return found


def _normal(shares: Floats) -> Floats:
    """Normal numbers from blocks of uniform ones."""
    one, two = shares.reshape(-1, 2, _PAIR).swapaxes(0, 1)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - one))
    angle = np.float32(2 * math.pi) * two
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


@njit_cached
def _shuffle(found: Any, words: Any) -> None:
    """Swap each place with a random one from there on (Fisher and Yates 1938)."""
    for i in range(len(words)):
        at = i + np.int64(words[i] % np.uint64(len(found) - i))
        found[i], found[at] = found[at], found[i]
