"""Scaling of inputs: none, standard, min-max or quantile, fitted on the training split.

An array goes in; a shift and a factor, or a curve for each column, come out, which a saved model applies to
new rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, InputPart
from tuner.data.model_inputs import apart, token_counts
from tuner.errors import DataError, near

KINDS = ("none", "standard", "min-max", "quantile")
"""What `Scaling.fit` knows."""

MOST_KNOTS = 256
"""How many knots the curve of a column has at most."""


MOST_COUNTED = 1000
"""So many different tokens are counted for estimators that are no networks."""


_CURVE = ("knots", "levels")
_NO_KNOTS = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Scaling:
    """A linear map, ``(x - shift) * factor``; of kind quantile a curve, straight between its knots.

    Attributes:
        kind: one of `KINDS`.
        shift: float32, (D,) of tables, (C, 1, 1) of images, (F,) of series, (0,) of tokens, which stay as
            they are.
        factor: float32, shaped like `shift`; 0 for what never changes in the training split, so
            that it says nothing in any other split either.
        knots: float32, (D, Q) of tables, (C, Q) of images, (F, Q) of series, ascending; the last one again
            and again where a column has fewer than others; none of codes, which come last. (0, 0) where the
            map is linear.
        levels: what the knots become, shaped like `knots`; likewise all that is beyond the outermost ones.
        masked: see `Dataset.masked`; what stands behind the end of a sequence stays 0.
        parts: of several inputs, see `Dataset.parts`, each with its own scaling; shift and factor are (0,).
    """

    kind: str
    shift: NDArray[np.float32]
    factor: NDArray[np.float32]
    knots: NDArray[np.float32] = field(default_factory=_NO_KNOTS.copy)
    levels: NDArray[np.float32] = field(default_factory=_NO_KNOTS.copy)
    masked: bool = False
    parts: tuple[tuple[InputPart, Scaling], ...] = ()

    @classmethod
    def of(cls, kind: str, data: Dataset) -> Self:
        """Fit a scaling to the training split of data.

        Raises:
            DataError: the kind is unknown.
        """
        return cls.fit(kind, data.train.x, len(data.categories), data.masked, data.parts)

    @classmethod
    def fit(
        cls,
        kind: str,
        x: NDArray[Any],
        codes: int = 0,
        masked: bool = False,
        parts: Sequence[InputPart] = (),
    ) -> Self:
        """Fit a scaling.

        Args:
            kind: ``"none"``; ``"standard"``: mean 0 and standard deviation 1; ``"min-max"``: 0 to 1;
                ``"quantile"``: normally distributed, so that no value is far from all others.
            x: the training split, see `Split.x`: tables and series are scaled by column, images by channel.
            codes: how many of the last columns of a table stay as they are.
            masked: see `Dataset.masked`; only steps that are there are looked at.
            parts: see `Dataset.parts`; each is scaled by itself.

        Raises:
            DataError: the kind is unknown.
        """
        if kind not in KINDS:
            raise DataError(f"scaling: unknown name {kind!r}; {near(kind, KINDS)}")
        if parts:
            each = [
                cls.fit(kind, own, 0, part.masked) for part, own in zip(parts, _each(x, parts), strict=True)
            ]
            nothing = np.zeros(0, np.float32)
            return cls(kind, nothing, nothing, parts=tuple(zip(parts, each, strict=True)))
        if x.dtype == np.int32:
            return cls("none", np.zeros(0, np.float32), np.ones(0, np.float32))
        if x.ndim == 3:
            steps = x.reshape(-1, x.shape[2])
            own = cls.fit(kind, steps[steps[:, -1] > 0] if masked else steps, codes + masked)
            return replace(own, masked=masked)
        if codes:
            own = cls.fit(kind if codes < x.shape[1] else "none", x[:, :-codes])
            shift, factor = (
                np.pad(side, (0, codes), constant_values=value)
                for side, value in ((own.shift, 0), (own.factor, 1))
            )
            return replace(own, kind=kind, shift=shift, factor=factor)
        axes = (0, *range(2, x.ndim))
        low, high = (
            np.squeeze(f(x, axis=axes, keepdims=True), 0).astype(np.float64) for f in (np.min, np.max)
        )
        if kind in ("none", "quantile"):
            curves = () if kind == "none" else _curves(_by_column(x))
            return cls(kind, np.zeros(low.shape, np.float32), np.ones(low.shape, np.float32), *curves)
        shift, spread = low, high - low
        if kind == "standard":
            shift = np.squeeze(np.mean(x, axis=axes, keepdims=True, dtype=np.float64), 0)
            spread = np.squeeze(np.std(x, axis=axes, keepdims=True, dtype=np.float64), 0)
        moves = (high > low) & (spread >= np.finfo(np.float32).tiny)
        factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=moves)
        return cls(kind, shift.astype(np.float32), factor.astype(np.float32))

    def apply(self, x: NDArray[Any]) -> NDArray[Any]:
        """Scale inputs of the kind that it was fitted on; float32, tokens apart."""
        if self.parts:
            each = zip(self.parts, _each(x, [part for part, _ in self.parts]), strict=True)
            found = [own.apply(part).reshape(len(x), -1) for (_, own), part in each]
            return np.concatenate(found, axis=1, dtype=np.float32)
        if not self.shift.size:
            return x
        x = np.asarray(x, np.float32)
        if x.ndim == 3:
            scaled = self._columns(x.reshape(-1, x.shape[2])).reshape(x.shape)
            return scaled * x[:, :, -1:] if self.masked else scaled
        return self._columns(x)

    def _columns(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(self.knots):
            count = len(self.knots)
            columns = zip(_by_column(x[:, :count]), self.knots, self.levels, strict=True)
            bent = np.array([np.interp(*column) for column in columns], np.float32)
            bent = np.moveaxis(bent.reshape(count, len(x), *x.shape[2:]), 0, 1)
            x = np.concatenate([bent, x[:, count:]], axis=1) if count < x.shape[1] else bent
        scaled: NDArray[np.float32] = (x - self.shift) * self.factor
        return scaled

    def to_table(self) -> dict[str, Any]:
        """The scaling as a JSON-ready table that `from_table` reads back exactly."""
        table = {"kind": self.kind, "shift": self.shift.tolist(), "factor": self.factor.tolist()}
        table |= {"masked": True} if self.masked else {}
        table |= {"parts": [[asdict(part), own.to_table()] for part, own in self.parts]} if self.parts else {}
        return table | ({name: getattr(self, name).tolist() for name in _CURVE} if len(self.knots) else {})

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read what `to_table` wrote."""
        arrays = {
            name: np.asarray(table[name], np.float32)
            for name in ("shift", "factor", *_CURVE)
            if name in table
        }
        parts = tuple((read_part(part), cls.from_table(own)) for part, own in table.get("parts", ()))
        return cls(str(table["kind"]), **arrays, masked=bool(table.get("masked", False)), parts=parts)


def flat(scaling: Scaling, x: NDArray[Any], vocabulary: int = 0) -> NDArray[np.float32]:
    """Scaled inputs as the columns of a table, for what is no network; (N, width).

    Tokens become how often each of the first ones stands in a row: of texts these are the commonest.

    Args:
        scaling: fitted on inputs of this kind.
        x: see `Split.x`.
        vocabulary: see `Dataset.vocabulary`.
    """
    if scaling.parts:
        parts = [part for part, _ in scaling.parts]
        each = zip(scaling.parts, _each(x, parts), strict=True)
        return np.concatenate([flat(own, own_x, part.vocabulary) for (part, own), own_x in each], axis=1)
    if not vocabulary:
        return scaling.apply(x).reshape(len(x), -1)
    return token_counts(x, min(vocabulary, MOST_COUNTED))


def width(inputs: Sequence[InputPart]) -> int:
    """How many columns `flat` gives of a row."""
    return sum(min(p.vocabulary, MOST_COUNTED) - 1 if p.vocabulary else p.size for p in inputs)


def read_part(table: Mapping[str, Any]) -> InputPart:
    """What `asdict` made of one, as JSON has it."""
    return InputPart(**{**table, "shape": tuple(table["shape"])})


def _each(x: NDArray[Any], parts: Sequence[InputPart]) -> list[NDArray[Any]]:
    """Each of several inputs, shaped and typed as `Split.x` has it alone."""
    each = zip(parts, apart(x, [part.shape for part in parts]), strict=True)
    return [own.astype(np.int32) if part.vocabulary else own for part, own in each]


def _by_column(x: NDArray[Any]) -> NDArray[Any]:
    """The values of each column or channel, (D, N) or (C, N * H * W)."""
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def _curves(columns: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Knots and levels of the map to a normal distribution, (D, Q) each.

    A value becomes the normal quantile of its mean rank (as in van der Waerden, Proc. Kon. Ned. Akad. Wet.
    A 55, 1952, with (rank - 1/2) / N for rank / (N + 1)), which leaves equal values equal.

    Args:
        columns: (D, N).
    """
    count, normal = columns.shape[1], NormalDist()
    places = np.linspace(0, count - 1, max(2, min(count, MOST_KNOTS))).round().astype(np.intp)
    knots, levels = np.empty((2, len(columns), len(places)), np.float32)
    for column, ends, heights in zip(columns, knots, levels, strict=True):
        ordered = np.sort(column.astype(np.float32))
        values = np.unique(ordered[places])
        sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
        found = [normal.inv_cdf(rank) for rank in (sum(sides) / (2 * count)).tolist()]
        ends[: len(values)], heights[: len(values)] = values, found
        ends[len(values) :], heights[len(values) :] = values[-1], found[-1]
    return knots, levels
