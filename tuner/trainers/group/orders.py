"""What a `GroupBatch` tells its ranks, and what they answer: each order has one answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tuner.core.training import Failure, Snapshot

_RANKS = "ranks"


@dataclass(frozen=True, slots=True)
class RankOrder:
    """A method of `rank.Rank` and what it is called with."""

    method: Literal["place", "advance", "snapshot", "save", "clear"]
    given: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An order is carried out; `value` is what the method returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """An order raised.

    Attributes:
        error: the exception, where it can be sent.
        failure: what it says.
    """

    error: BaseException | None
    failure: Failure


@dataclass(frozen=True, slots=True)
class Failing:
    """No answer, but said before it: the trial has failed on this rank, so others may wait for it in vain."""

    failure: Failure


def digests(snapshot: Snapshot) -> dict[str, bytes]:
    """What tells the arrays of a state from others, by name."""
    return {name: _digest(array) for name, array in snapshot.arrays.items()}


def without(snapshot: Snapshot, known: Mapping[str, bytes]) -> Snapshot:
    """A state without the arrays that are known."""
    mine = digests(snapshot)
    left = {name: array for name, array in snapshot.arrays.items() if mine[name] != known.get(name)}
    return Snapshot(snapshot.epoch, left, {_RANKS: sorted(snapshot.arrays), "facts": dict(snapshot.facts)})


def joined(first: Snapshot, others: Sequence[Snapshot]) -> Snapshot:
    """One state out of those of all ranks.

    Args:
        first: rank 0's.
        others: of the others in their order, `without` what rank 0 has, too.
    """
    arrays = dict(first.arrays)
    for rank, other in enumerate(others, 1):
        arrays |= {_name(rank, name): array for name, array in other.arrays.items()}
    facts = {"own": sorted(first.arrays), "facts": dict(first.facts), _RANKS: [dict(o.facts) for o in others]}
    return Snapshot(first.epoch, arrays, facts)


def parted(snapshot: Snapshot | None, size: int) -> list[Snapshot | None]:
    """Each rank's state; rank 0's where it has none of its own."""
    if snapshot is None or _RANKS not in snapshot.facts:
        return [snapshot] * size
    arrays, facts, epoch = snapshot.arrays, snapshot.facts, snapshot.epoch
    first = Snapshot(epoch, {name: arrays[name] for name in facts["own"]}, facts["facts"])
    found: list[Snapshot | None] = [first]
    for rank, own in enumerate(facts[_RANKS][: size - 1], 1):
        each = {name: arrays.get(_name(rank, name), arrays.get(name)) for name in own[_RANKS]}
        found.append(Snapshot(epoch, each, own["facts"]))  # type: ignore[arg-type]
    return found + [first] * (size - len(found))


def _name(rank: int, name: str) -> str:
    return f"rank {rank}/{name}"


def _digest(array: np.ndarray[Any, Any]) -> bytes:
    order: Literal["F", "C"] = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    head = f"{array.dtype.str} {array.shape} {order}".encode()
    return hashlib.blake2b(array.tobytes(order), key=head[:64], digest_size=16).digest()
