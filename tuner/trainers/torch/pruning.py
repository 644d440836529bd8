"""Pruning: the weights of a network's units that matter most, as those of the same network with fewer units.

Structured: whole hidden units, channels of convolutions and states of recurrent layers go, and with them all
that other layers read of them, so what is left is an ordinary smaller network. Works on the `state_dict` of
the shipped networks, whose tensors stand in the order in which they compute; no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import TrialError

_GATES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Tensors of recurrent layers, whose first axis has the units once for each gate."""


@dataclass(slots=True)
class _Units:
    """The units of one layer in one direction.

    Attributes:
        count: how many the large network has.
        left: how many the small one has.
        made: sums of the squares of what computes them, (count,).
        read: of what later layers read of them.
        scale: what normalization multiplies them by.
        is_normalized: whether batch normalization divides their size out.
    """

    count: int
    left: int
    made: NDArray[np.float64] = field(init=False)
    read: NDArray[np.float64] = field(init=False)
    scale: NDArray[np.float64] = field(init=False)
    is_normalized: bool = False

    def __post_init__(self) -> None:
        self.made, self.read, self.scale = (np.zeros(self.count), np.zeros(self.count), np.ones(self.count))

    def kept(self) -> NDArray[np.int64]:
        """The units that stay, in their order: those with the largest product of norms.

        The 2-norm of the weights that compute a unit (Li et al. 2017, there the 1-norm) times that of the
        weights that read it; so the choice does not depend on how the two share a unit's size.
        """
        size = np.sqrt(self.read) * self.scale * (1 if self.is_normalized else np.sqrt(self.made))
        return np.sort(np.argsort(-size, kind="stable")[: self.left])


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis that units lie on: layer after layer, each unit once for every gate or pixel."""

    tensor: str
    axis: int
    units: tuple[_Units, ...]

    def split(self, array: NDArray[Any]) -> NDArray[Any]:
        """The axis in front, as (gates, units, pixels, ...)."""
        front, count = np.moveaxis(array, self.axis, 0), sum(each.count for each in self.units)
        gates = len(front) // count if self.is_gated else 1
        return front.reshape(gates, count, len(front) // count // gates, *front.shape[1:])

    @property
    def is_gated(self) -> bool:
        return self.axis == 0 and self.tensor.endswith(_GATES)

    def left(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array with the units that stay."""
        starts = np.cumsum([0, *(each.count for each in self.units)])
        kept = np.concatenate([each.kept() + at for each, at in zip(self.units, starts, strict=False)])
        split = self.split(array)[:, kept]
        return np.moveaxis(split.reshape(-1, *split.shape[3:]), 0, self.axis)


def pruned(
    weights: Mapping[str, NDArray[Any]], shapes: Mapping[str, Sequence[int]]
) -> dict[str, NDArray[Any]]:
    """The weights of a network that has the units of another one that matter most.

    Args:
        weights: of the large network, by their names in its `state_dict`.
        shapes: of the small one's, in the order of its `state_dict`.

    Raises:
        TrialError: the small network is not the large one with fewer units.
    """
    for name, shape in shapes.items():
        had = weights[name].shape if name in weights else None
        if had is None or len(had) != len(shape) or any(a < b for a, b in zip(had, shape, strict=True)):
            raise TrialError(
                f"trainer.teacher: its network has {name} of shape {had}, the trial's has {tuple(shape)}; "
                "fix the settings of the network to the teacher's, or set from_scratch; one that has "
                "lost units unevenly loses units again, no weights"
            )
    axes = _axes(weights, shapes)
    for each in axes:
        array = weights[each.tensor]
        split = each.split(np.abs(array, dtype=np.float64))
        ends = np.cumsum([units.count for units in each.units])[:-1]
        sums = (
            np.moveaxis(split**2 if array.ndim > 1 else split, 1, 0).reshape(split.shape[1], -1).sum(axis=1)
        )
        for units, part in zip(each.units, np.split(sums, ends), strict=True):
            if array.ndim > 1:
                units.read += part * each.axis
                units.made += part * (1 - each.axis)
            elif each.tensor.endswith(".weight"):
                units.scale *= part
            units.is_normalized |= each.tensor.endswith(".running_mean")
    found = {name: np.asarray(weights[name]) for name in shapes}
    for each in axes:
        found[each.tensor] = each.left(found[each.tensor])
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def _axes(weights: Mapping[str, NDArray[Any]], shapes: Mapping[str, Sequence[int]]) -> list[_Axis]:
    """Every axis that gets shorter, and the units that lie on it."""
    found: list[_Axis] = []
    before: tuple[_Units, ...] = ()
    now: tuple[_Units, ...] = ()
    for name, shape in shapes.items():
        large, last = weights[name].shape, name.rpartition(".")[2]
        if len(shape) < 2:
            if len(shape) and large[0] > shape[0]:
                found.append(_Axis(name, 0, now[-1:] if last in _GATES else now))
            continue
        if last == "weight_hh":
            found += [_Axis(name, axis, now[-1:]) for axis in (0, 1) if large[axis] > shape[axis]]
            continue
        is_beside = ".shortcut." in f".{name}" or (last == "weight_ih" and name.split(".")[-2] != "0")
        if not is_beside:
            before = now
        if large[0] > shape[0]:
            if ".shortcut." not in f".{name}":
                per = weights[name.replace("_ih", "_hh")].shape[1] if last == "weight_ih" else large[0]
                new = _Units(per, shape[0] * per // large[0])
                now = (*now, new) if is_beside else (new,)
            found.append(_Axis(name, 0, now[-1:]))
        if large[1] > shape[1]:
            found.append(_Axis(name, 1, before))
    return found
