"""Predict with an exported model: needs numpy and onnxruntime, and nothing else.

    python predict.py rows.csv > predictions.csv

or from Python, with rows as they stand in the data: a table of columns by name, or an array.

    from predict import ExportedModel
    model = ExportedModel()
    model.predict({"age": ["31", "57"], "city": ["Bern", "Jena"]})

`tune export NAME DIR --format onnx` copies this file beside model.onnx and predict.json, so it imports
nothing of tuner.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WHOLE = re.compile(r"^(-?\d+)\.0+$")
_PADDING, _UNKNOWN = 0, 1


class ExportedModel:
    """The network, or the mean of several, with everything that its inputs need.

    Args:
        folder: where predict.json lies; this file's.
        threads: of a prediction.

    Raises:
        ValueError: the folder is damaged, or the rows do not fit; in words.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, threads: int = 1) -> None:
        place = Path(folder)
        try:
            self.table = json.loads((place / "predict.json").read_text(encoding="utf-8"))
            if not isinstance(self.table, dict) or self.table.get("format") != 1:
                raise ValueError("predict.json is not of format 1")
        except (OSError, ValueError) as error:
            raise ValueError(f"{place}: holds no exported model: {error}") from error
        self.members = [ExportedNetwork(place, table, threads) for table in self.table["networks"]]

    def predict(self, rows: Any) -> NDArray[Any]:
        """(N,) names of classes, (N, L) of labels, or (N,) or (N, T) numbers in their own units."""
        table = self.table
        if "classes" in table:
            shares = self.probabilities(rows)
            if "threshold" in table:
                positive, at = table["threshold"]
                return np.asarray(
                    np.take(table["classes"], np.where(shares[:, positive] >= at, positive, 1 - positive))
                )
            return np.asarray(np.take(table["classes"], shares.argmax(axis=1)))
        if "labels" in table:
            pairs = np.asarray(table["labels"])  # (L, 2)
            return np.where(self.probabilities(rows) > 0.5, pairs[:, 1], pairs[:, 0])
        found = np.mean([member.values(rows) for member in self.members], axis=0)
        return np.asarray(found[:, 0] if found.shape[1] == 1 else found)

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """Of each class, (N, C), in the order of `table["classes"]`; of each label, (N, L)."""
        if "classes" not in self.table and "labels" not in self.table:
            raise ValueError("a regression model has no probabilities; use predict")
        return np.asarray(np.mean([member.shares(rows) for member in self.members], axis=0), np.float32)


class ExportedNetwork:
    """One network, and how its inputs are prepared."""

    def __init__(self, place: Path, table: Mapping[str, Any], threads: int) -> None:
        import onnxruntime

        self.table = table
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        file = place / table["file"]
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ValueError(f"{file}: is missing or damaged: {' '.join(str(error).split())}") from error
        self.input = self.session.get_inputs()[0].name

    def values(self, rows: Any) -> NDArray[np.float32]:
        """Numbers in their own units, (N, T)."""
        units = self.table["target"]
        found = self.outputs(rows) * np.asarray(units["scale"], np.float32)
        found = found + np.asarray(units["shift"], np.float32)
        return np.exp(found) if units.get("log") else found

    def shares(self, rows: Any) -> NDArray[np.float32]:
        """Probabilities of classes, (N, C), or of labels, (N, L)."""
        outputs = self.outputs(rows)
        if self.table["loss"] != "binary_cross_entropy":
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        ones = np.asarray(0.5 * np.tanh(0.5 * outputs) + 0.5, np.float32)
        if self.table["is_of_labels"]:
            return ones
        if ones.shape[1] == 1:
            return np.concatenate([1 - ones, ones], axis=1)
        return np.asarray(ones / ones.sum(axis=1, keepdims=True), np.float32)

    def outputs(self, rows: Any) -> NDArray[np.float32]:
        """Logits, or targets in standardized units, (N, outputs)."""
        found = self.session.run(None, {self.input: self.scaled(self.encoded(rows))})[0]
        return np.asarray(found, np.float32).reshape(len(found), -1)

    def encoded(self, rows: Any) -> NDArray[Any]:
        """The network's unscaled inputs, of which each row has the shape that the model was trained on."""
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
        """As the network takes them: float32, or tokens as int32."""
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


def main(path: str) -> None:
    """Read rows of a CSV file, or of an NPY file, and write predictions as CSV to the standard output."""
    model = ExportedModel()
    rows: Any
    if path.endswith(".npy"):
        rows = np.load(path, allow_pickle=False)
    else:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
        rows = {name: [line[name] for line in lines] for name in (lines[0] if lines else {})}
    found = model.predict(rows)
    found = found[:, None] if found.ndim == 1 else found
    writer = csv.writer(sys.stdout, lineterminator="\n")
    several = [f"prediction_{i}" for i in range(found.shape[1])]
    writer.writerow(several if len(several) > 1 else ["prediction"])
    writer.writerows(found.tolist())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (IndexError, ValueError, OSError) as fault:
        sys.exit(f"predict.py: {fault if len(sys.argv) > 1 else 'give a file of rows, e.g. rows.csv'}")
