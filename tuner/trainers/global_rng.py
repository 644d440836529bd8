"""The global random generators, lent to one trial at a time.

Code that is not ours draws from `random`, `numpy.random` and `torch`; here each trial gets states
of its own and everybody else's are put back. There is one set of them in a process, so studies that
run in several threads wait for each other here, and each repeats itself as if it were alone.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np

_OF_TORCH = ("torch", "cuda", "mps")
_LENT = threading.RLock()
"""Held by the thread whose trial has the generators."""


class GlobalRng:
    """A context in which the global generators belong to one trial; other threads wait for its end.

    The first time it is entered they are seeded, every later time they go on where they were.
    torch's are included once torch is imported.
    """

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self._seed = seed
        self._device = device
        self._own: dict[str, Any] = {}
        self._others: dict[str, Any] = {}

    def __enter__(self) -> None:
        _LENT.acquire()
        try:
            self._lend()
        except BaseException:
            _LENT.release()
            raise

    def _lend(self) -> None:
        for name, (get, put, start) in self._generators().items():
            self._others[name] = get()
            if name in self._own:
                put(self._own[name])
            else:
                start(self._seed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            for name, (get, put, _) in self._generators().items():
                self._own[name] = get()
                if name in self._others:
                    put(self._others[name])
        finally:
            _LENT.release()

    def state(self) -> dict[str, Any]:
        """Where the trial's generators stand, as tuples, arrays and numbers; empty before the first time."""
        found = dict(self._own)
        if "random" in found:
            version, words, rest = found["random"]
            found["random"] = (version, np.array(words, np.uint32), rest)
        return found | {name: found[name].numpy() for name in _OF_TORCH if name in found}

    def restore(self, state: Mapping[str, Any], *, entered: bool = False) -> None:
        """Put the trial's generators where `state` found them.

        Args:
            state: what `state` gave.
            entered: whether it happens inside of the context, where they are in use.
        """
        self._own = dict(state)
        if "random" in state:
            version, words, rest = state["random"]
            self._own["random"] = (version, tuple(words.tolist()), rest)
        for name in _OF_TORCH:
            if name in state:
                import torch

                self._own[name] = torch.tensor(state[name])
        if entered:
            for name, (_, put, _) in self._generators().items():
                if name in self._own:
                    put(self._own[name])

    def _generators(self) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[int], Any]]]:
        found: dict[str, Any] = {
            "random": (random.getstate, random.setstate, random.seed),
            "numpy": (np.random.get_state, np.random.set_state, np.random.seed),
        }
        torch = sys.modules.get("torch")
        if torch is not None:
            found["torch"] = (
                torch.get_rng_state,
                torch.set_rng_state,
                torch.random.default_generator.manual_seed,
            )
            if self._device.startswith("cuda"):
                cuda = torch.cuda
                found["cuda"] = (
                    lambda: cuda.get_rng_state(self._device),
                    lambda state: cuda.set_rng_state(state, self._device),
                    cuda.manual_seed_all,
                )
            if self._device == "mps":
                mps = torch.mps
                found["mps"] = mps.get_rng_state, mps.set_rng_state, mps.manual_seed
        return found
