"""How `standalone` prepares raw rows: as `tuner.data` does, with numpy and the standard library alone.

It becomes a part of predict.py, so it imports nothing of tuner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHOLE = re.compile(r"^(-?\d+)\.0+$")
_PADDING, _UNKNOWN = 0, 1


class RawRows:
    """What becomes of raw rows before a model sees them.

    Args:
        table: of one model in predict.json.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def inputs(self, rows: Any) -> NDArray[Any]:
        """As the model takes them: scaled float32, tokens as int32; of an estimator flat, (N, D)."""
        x = self.scaled(self.encoded(rows))
        if "flat" not in self.table:
            return x
        if not (count := self.table["flat"]):
            return x.reshape(len(x), -1)
        at = np.arange(len(x))[:, None] * count + x
        found = np.bincount(at[x < count], minlength=len(x) * count).reshape(len(x), count)
        return found[:, _UNKNOWN:].astype(np.float32)

    def encoded(self, rows: Any) -> NDArray[Any]:
        """The model's unscaled inputs, of which each row has the shape that the model was trained on."""
        how, shape = self.table["encoding"], tuple(self.table["input_shape"])
        x: NDArray[Any]
        if isinstance(rows, Mapping) or hasattr(rows, "columns"):
            x = self._columns(rows)
        elif "columns" in how:
            raise ValueError(f"give rows by the names of their columns: {', '.join(_named(how))}")
        else:
            x = np.asarray(rows)
            if "tokens" in how:
                x = _tokens(x, how["tokens"])
            elif "series" in how:
                x = _series(np.asarray(x, np.float32), how["series"])
        if x.shape[1:] != shape:
            raise ValueError(f"rows have shape {x.shape[1:]} each; the model needs {shape}")
        return x

    def scaled(self, x: NDArray[Any]) -> NDArray[Any]:
        """Scaled, float32; or tokens, int32."""
        scaling = self.table["scaling"]
        if not np.size(scaling["shift"]):
            return x.astype(np.int32)
        x = x.astype(np.float32)
        flat = x.reshape(-1, x.shape[2]) if x.ndim == 3 else x
        if knots := scaling.get("knots"):
            flat = flat.copy()
            curves: list[Any] = [np.asarray(side, np.float32) for side in (knots, scaling["levels"])]
            for i, curve in enumerate(zip(*curves, strict=True)):
                flat[:, i] = np.interp(flat[:, i], *curve)
        shift, factor = (np.asarray(scaling[name], np.float32) for name in ("shift", "factor"))
        found = ((flat - shift) * factor).reshape(x.shape)
        return found * x[:, :, -1:] if scaling.get("masked") else found

    def _columns(self, rows: Any) -> NDArray[np.float32]:
        how = self.table["encoding"]
        wanted = _named(how) if "columns" in how else self.table["features"]
        present = list(rows.columns) if hasattr(rows, "columns") else list(rows)
        if absent := [name for name in wanted if name not in present]:
            raise ValueError(f"columns are missing: {', '.join(absent)}")
        if "columns" not in how:
            return np.stack([np.asarray(rows[name], np.float32) for name in wanted], axis=1)
        tables = sorted(how["columns"], key=lambda table: table.get("embedded", False))
        parts = [part for table in tables for part in self._column(list(rows[table["name"]]), table)]
        return np.stack(parts, axis=1).astype(np.float32)

    def _column(self, cells: Sequence[Any], table: Mapping[str, Any]) -> list[NDArray[Any]]:
        kind = table["kind"]
        if kind == "category":
            return self._category(cells, table)
        texts = [_text(cell) for cell in cells]
        if kind == "boolean":
            truth = (
                {"1": 1.0, "0": 0.0} | dict.fromkeys(table["true"], 1.0) | dict.fromkeys(table["false"], 0.0)
            )
            values = [truth.get(text.lower(), np.nan) for text in texts]
        elif kind == "ordinal":
            order = {_folded(str(name)): place + 1.0 for place, name in enumerate(table["order"])}
            values = [order.get(_folded(text), np.nan) for text in texts]
        else:
            values = [_number(text) for text in texts]
        found = np.asarray(values, np.float64)
        found[~np.isfinite(found)] = np.nan
        lost = np.isnan(found)
        parts: list[NDArray[Any]] = [np.where(lost, table["fill"], found)]
        return [*parts, lost] if table["missing"] else parts

    def _category(self, cells: Sequence[Any], table: Mapping[str, Any]) -> list[NDArray[Any]]:
        is_folded, own = table.get("folded"), table.get("own")
        names = [_folded(name) if is_folded else name for name in table["categories"]]
        at: dict[str, int] = {}
        for place, name in enumerate(names):
            at.setdefault(name, place)
        texts = [_text(cell) for cell in cells]
        gone = set(() if own else self.table["missing"]) | {""}
        lost = np.asarray([text in gone for text in texts])
        codes = np.asarray([at.get(_folded(text) if is_folded else text, -1) for text in texts])
        codes = np.where(lost, table["categories"].index(table["fill"]) if "fill" in table else -1, codes)
        if table.get("embedded"):
            if table["missing"]:
                return [np.where(lost & (codes < 0), len(names) + 1, codes + 1)]
            return [codes + 1]
        parts: list[NDArray[Any]] = [codes == place for place in range(len(names))]
        parts += [~lost & (codes < 0)] if table["other"] else []
        return [*parts, lost] if table["missing"] else parts


def _named(how: Mapping[str, Any]) -> list[str]:
    return [table["name"] for table in how["columns"]]


def _text(cell: Any) -> str:
    """A cell as it would stand in a CSV file; empty for what is missing."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(int(cell)) if isinstance(cell, bool | np.bool_) else str(cell).strip()


def _folded(text: str) -> str:
    return _WHOLE.sub(r"\1", text.strip().lower())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _tokens(x: NDArray[Any], how: Mapping[str, Any]) -> NDArray[np.int32]:
    x = x[:, : how["length"]]
    x = np.pad(x, ((0, 0), (0, how["length"] - x.shape[1])), constant_values=_PADDING)
    x = np.where(x < how["known"], x, _UNKNOWN).astype(np.int32)
    x[~(x != _PADDING).any(axis=1), 0] = _UNKNOWN
    return x


def _series(x: NDArray[np.float32], how: Mapping[str, Any]) -> NDArray[np.float32]:
    if how["masked"] or x.shape[1] != how["length"]:
        raise ValueError(f"give series of {how['length']} steps each, all of them there")
    return x
